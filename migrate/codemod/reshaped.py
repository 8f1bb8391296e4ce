"""Axes that a call names: `x.reshape(batch, rows, columns)`, `jnp.broadcast_to(x, shape)`."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING

from migrate.codemod.sizes_pool import multiplied

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_SHAPES = {"reshape", "broadcast_to", "resize"}


def named_axes(unit: Unit, node: ast.AST, rank: int) -> dict[int, str]:
  """What the call itself says of the axes of its result, counted from the last, 1; `-1` is what the others leave.

  Args:
    unit: the class being rewritten.
    node: an expression.
    rank: how many axes it has.
  """
  items = [part for item in _shape_given(unit, node) for part in _parts(unit, item)]
  if len(items) != rank:
    return {}
  found: dict[int, str] = {}
  for j, item in enumerate(reversed(items), 1):
    if isinstance(item, str):
      found[j] = item
    elif ast.unparse(item) == "-1" and (left := _left(unit, node, j)):
      found[j] = left
    elif isinstance(item, ast.Name | ast.Attribute | ast.BinOp | ast.Subscript) and unit.events(item):
      text = unit.try_static(item)
      if text is not None:
        found[j] = text
  return {j: text for j, text in found.items() if text}


def _parts(unit: Unit, item: ast.expr) -> list[ast.expr | str]:
  """What stands for one or more axes in a shape: `*self.shape` for as many as the field has."""
  if not isinstance(item, ast.Starred):
    return [item]
  text = unit.try_static(item.value) or ""
  text = text if text.startswith("self.") else ""
  shapes = [e.value for e in unit.events(item.value)]
  if not shapes or any(not isinstance(s, tuple | list) or len(s) != len(shapes[0]) for s in shapes):
    return [item]
  last = len(shapes[0]) - 1
  known = [bool(text) and all(type(s[i]) is int and s[i] > 0 for s in shapes) for i in range(last + 1)]
  return [f"{text}[{-1 if i == last else i}]" if known[i] else "" for i in range(last + 1)]


def _shape_given(unit: Unit, node: ast.AST) -> list[ast.expr]:
  """The items of the shape that a call is given; none where it is not written out."""
  if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in _SHAPES:
    return []
  method = bool(unit.array_events(node.func.value))
  rest = node.args if method else node.args[1:]
  shape = next((k.value for k in node.keywords if k.arg in ("shape", "newshape")), None)
  if method and len(rest) > 1:
    return list(rest)
  shape = shape if shape is not None else rest[0] if rest else None
  if isinstance(shape, ast.Name) and shape.id in unit.env and unit.assigned[shape.id] == 1:
    told = unit.env[shape.id].node
    names = (
      {n.id for n in ast.walk(told) if isinstance(n, ast.Name)} if isinstance(told, ast.Tuple | ast.List) else set()
    )
    if not names or any(unit.assigned[n] > 1 for n in names):
      return []
    shape = told
  return _items(unit, shape)


def _items(unit: Unit, shape: ast.AST | None) -> list[ast.expr]:
  """The items of a shape that is written out, or put together of tuples and fields."""
  if isinstance(shape, ast.BinOp) and isinstance(shape.op, ast.Add):
    return [*_items(unit, shape.left), *_items(unit, shape.right)]
  if isinstance(shape, ast.Attribute) and any(isinstance(e.value, tuple | list) for e in unit.events(shape)):
    return [ast.Starred(shape)]
  return list(shape.elts) if isinstance(shape, ast.Tuple | ast.List) else []


def _left(unit: Unit, node: ast.AST, j: int) -> str:
  """The axes of the operand that the axis `-1` holds, multiplied; empty where one has no expression."""
  if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
    return ""
  operand = node.func.value if unit.array_events(node.func.value) else node.args[0]
  dims, results = unit.dims(operand) or [], unit.array_events(node) or []
  given = [e.value.shape for e in unit.array_events(operand) or [] if results and e.activation is results[0].activation]
  if not dims or not given or len(given[0]) != len(dims):
    return ""
  shape, result = given[0], results[0].value.shape
  before, after = math.prod(result[:-j]), math.prod(result[len(result) - j + 1 :])
  start = next((i for i in range(len(shape) + 1) if math.prod(shape[:i]) == before), None)
  stop = next((i for i in range(len(shape), -1, -1) if math.prod(shape[i:]) == after), None)
  if start is None or stop is None or stop - start < 2 or not all(dims[start:stop]):
    return ""
  return multiplied([axis[0] for axis in dims[start:stop]])
