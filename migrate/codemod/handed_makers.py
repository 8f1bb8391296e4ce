"""Functions that make layers and that a class hands to another module, which calls them: `Net(update=lambda e: nn.Dense(8)(e))`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.core.report import Finding

if TYPE_CHECKING:
  from migrate.codemod.project import ClassInfo
  from migrate.codemod.unit import Unit


def handed_maker(unit: Unit, info: ClassInfo, needed: str) -> Finding | None:
  """The finding for a class that hands one over; None where what it needs is something else.

  Args:
    unit: the class.
    info: where it stands.
    needed: the expression that construction needs and only a call knows.
  """
  for node in ast.walk(info.node):
    inside = None
    if isinstance(node, ast.FunctionDef) and node.name == needed and node not in info.methods.values():
      inside = node
    elif isinstance(node, ast.Lambda):
      store = info.source.parents.get(node)
      named = isinstance(store, ast.Assign) and ast.unparse(store.targets[0]) == needed
      inside = node.body if named or info.source.code(node.body) == needed else None
    calls = [n for n in ast.walk(inside) if isinstance(n, ast.Call)] if inside is not None else []
    if any(unit.creates(c) or unit.untraced_layer(c) is not None for c in calls):
      return Finding(
        unit.where(node), f"{info.name} hands over a function that makes layers: `{needed}`",
        "a module", "make it a class of modules, and hand over an instance", "error", "L2N102",
      )  # fmt: skip
  return None
