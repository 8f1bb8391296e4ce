"""Names for sizes of what comes in a dict or tuple, or from a module in a field.

`rgb_features` for the last axis of `batch["rgb"]`, `encoder_features` for that of `self.encoder(x)`.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def input_name(unit: Unit, node: ast.AST) -> str:
  """What a call argument calls an item of it that a layer is given, or the field whose module gives it; else empty.

  Args:
    unit: the class.
    node: what the layer is given.
  """
  node = _reshaped(node)
  if field := _field_called(unit, _last_value(unit, node)):
    return field
  if isinstance(node, ast.Name):
    value = _first_value(unit, node)
    name = node.id.strip("_")
    return name if len(name) > 1 and value is not None and _is_item(unit, _reshaped(value)) else ""
  if _is_item(unit, node) and isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
    key = str(node.slice.value)
    return key if key.isidentifier() and len(key) > 1 else ""
  return node.attr if _is_item(unit, node) and isinstance(node, ast.Attribute) else ""


def _reshaped(node: ast.AST) -> ast.AST:
  """The array behind `x.astype(...)` and the like."""
  while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ALIKE:
    node = node.func.value
  return node


def _is_item(unit: Unit, node: ast.AST) -> bool:
  """Whether an expression takes something out of a call argument that is no array."""
  if not isinstance(node, ast.Name | ast.Subscript | ast.Attribute):
    return False
  root: ast.AST = node
  while isinstance(root, ast.Subscript | ast.Attribute):
    root = root.value
  events = unit.events(root)
  inside = isinstance(root, ast.Name) and root.id in unit.parameters
  return inside and bool(events) and not any(hasattr(e.value, "shape") for e in events)


def _field_called(unit: Unit, node: ast.AST) -> str:
  """The field that holds the module whose output an expression is: `encoder` of `self.encoder(x)`."""
  called = node.func if isinstance(node, ast.Call) else None
  if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
    return ""
  return called.attr if called.value.id == unit.self_name and called.attr in unit.field_names else ""


def _last_value(unit: Unit, node: ast.AST) -> ast.AST:
  """What a local was assigned last before it is read; other expressions are what they are."""
  if not isinstance(node, ast.Name):
    return node
  definition = next((n for n in unit.source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
  before = [
    n
    for n in (ast.walk(definition) if definition is not None else ())
    if isinstance(n, ast.Assign)
    and n.lineno < node.lineno
    and any(isinstance(t, ast.Name) and t.id == node.id for t in n.targets)
  ]
  return max(before, key=lambda n: n.lineno).value if before else node


def _first_value(unit: Unit, name: ast.Name) -> ast.expr | None:
  """What a local was assigned first, or taken out of."""
  definition = next((n for n in unit.source.enclosing(name) if isinstance(n, ast.FunctionDef)), None)
  found: list[ast.expr] = []
  for statement in ast.walk(definition) if definition is not None else ():
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if any(isinstance(n, ast.Name) and n.id == name.id for t in targets for n in ast.walk(t)):
      found.append(statement.value)  # pyright: ignore[reportAttributeAccessIssue]
  return min(found, key=lambda v: v.lineno, default=None)


_ALIKE = ("astype", "reshape", "squeeze", "copy")
