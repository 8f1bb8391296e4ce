"""Functions that give classes of layers, or partials of them, uncalled: `norm = get_norm(kind)`.

They make nothing themselves, so they only change their words; but where classes of other files call them they are
part of what is ported.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.site import linen_behind
from migrate.codemod.source import dotted

if TYPE_CHECKING:
  from migrate.codemod.imports import Names
  from migrate.codemod.project import Project
  from migrate.codemod.source import Source


def giving_functions(project: Project, source: Source, names: Names) -> set[str]:
  """Functions at the top of a file that a method or another function called, and that speak of layers."""
  found: set[str] = set()
  for node in source.tree.body:
    if not isinstance(node, ast.FunctionDef):
      continue
    runs = project.activations.get((source.path, node.name), [])
    if any(a.parent is not None for a in runs) and _speaks_of_layers(project, node, names):
      found.add(node.name)
  return found


def _speaks_of_layers(project: Project, node: ast.FunctionDef, names: Names) -> bool:
  spoken = [n for n in ast.walk(node) if isinstance(n, ast.Name | ast.Attribute) and dotted(n) is not None]
  full = [f for n in spoken if (f := names.resolve(dotted(n) or "")) is not None]
  return any(
    (found := linen_behind(f, names.module_name)).startswith("flax.linen.")
    and project.layers.get(f"flax.linen.{found.rpartition('.')[2]}") is not None
    for f in full
  )
