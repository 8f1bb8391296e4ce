"""Imports of Linen inside functions: what they bring is written as NNX spells it, so that they go."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.names import nnx_name
from migrate.codemod.transforms import TRANSFORMS

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class LocalImports:
  """Handling of both, mixed into `Unit` as a part of `Lookups`."""

  def takes_linen(self: Unit, node: ast.stmt) -> bool:
    """Whether an import brings nothing but names of Linen that NNX has too; they are known from here on."""
    found = _imported(node)
    if not found or not all(self._known(full) for full in found.values()):
      return False
    self.names = self.names.with_imports(found)
    return True

  def _known(self: Unit, full: str) -> bool:
    if full == "flax.linen":
      return True
    if not full.startswith("flax.linen."):
      return False
    return full in self.project.layers or full in TRANSFORMS or nnx_name(full) is not None


def _imported(node: ast.stmt) -> dict[str, str]:
  """Local name -> full name."""
  if isinstance(node, ast.ImportFrom) and not node.level and node.module is not None:
    return {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
  if isinstance(node, ast.Import) and all(a.asname for a in node.names):
    return {str(a.asname): a.name for a in node.names}
  return {}
