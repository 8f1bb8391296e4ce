"""Parameters that an instance may lack: `setup` gives the attribute None in another branch."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def array_attribute(unit: Unit, node: ast.Attribute) -> str:
  """How an attribute is read that `setup` gives a parameter, or None in another branch."""
  around = unit.source.parents.get(node)
  if isinstance(around, ast.Compare) and isinstance(around.ops[0], ast.Is | ast.IsNot):
    other = around.comparators[0] if around.left is node else around.left
    if isinstance(other, ast.Constant) and other.value is None:
      return f"self.{node.attr}"
  seen = [e.value for e in unit.events(node)]
  if seen and all(v is None for v in seen):
    return f"self.{node.attr}"
  if _may_be_none(unit, node.attr) and not _asked_before(unit, node):
    return f"(None if self.{node.attr} is None else self.{node.attr}[...])"
  return f"self.{node.attr}[...]" if unit.holds_array(node) else unit.tree_value(f"self.{node.attr}", node)


def _may_be_none(unit: Unit, attr: str) -> bool:
  """Whether a statement of the class gives the attribute None."""
  for statement in ast.walk(unit.info.node):
    if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.Constant):
      targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
      named = any(isinstance(t, ast.Attribute) and t.attr == attr for t in targets)
      if named and statement.value.value is None:
        return True
  return False


def _asked_before(unit: Unit, node: ast.AST) -> bool:
  """Whether a condition stands around a node."""
  while (around := unit.source.parents.get(node)) is not None and not isinstance(around, ast.FunctionDef):
    if isinstance(around, ast.If | ast.IfExp | ast.BoolOp):
      return True
    node = around
  return False
