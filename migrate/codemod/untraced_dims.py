"""Axes of arrays that no example makes, as far as the expressions tell: slices, means, reshapes, what is joined."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.scope import Dims
from migrate.codemod.site import evaluate
from migrate.codemod.sizes_pool import multiplied

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_REDUCING = {"mean", "sum", "max", "min", "prod", "std", "var", "any", "all", "logsumexp", "median"}
_POOLING = {"avg_pool", "max_pool", "min_pool"}
_PICKING = {"take", "take_along_axis"}
_JOINING = {"concatenate", "hstack", "concat"}


def untraced_dims(unit: Unit, node: ast.AST) -> Dims | None:
  """Candidates for every axis; None where nothing is known. What comes in may be known by its last axes only."""
  if isinstance(node, ast.Subscript):
    return _indexed(unit.dims(node.value), node.slice)
  if isinstance(node, ast.IfExp):
    return _alike(unit.dims(node.body), unit.dims(node.orelse))
  if not isinstance(node, ast.Call):
    return None
  name = ast.unparse(node.func).rpartition(".")[2]
  given = {k.arg: k.value for k in node.keywords if k.arg is not None}
  array, rest = _operand(unit, node)
  if name in _JOINING:
    return _joined(unit, node, given)
  dims = unit.dims(array) if array is not None else None
  if dims is None:
    return None
  if name in _REDUCING and len(rest) <= 1:
    return _reduced(dims, rest[0] if rest else given.get("axis"), given.get("keepdims"))
  if name in _POOLING and len(dims) > 2:
    return [dims[0], *([] for _ in dims[1:-1]), dims[-1]]
  if name in _PICKING and (axis := rest[1] if len(rest) > 1 else given.get("axis")) is not None:
    place = _number(axis)  # only the last axis is sure to be as long as before
    kept = place is not None and place != -1 and place < len(dims) - 1
    return [*([] for _ in dims[1:]), dims[-1]] if kept else None
  if name == "reshape":
    return _reshaped(unit, dims, rest)
  if name == "expand_dims" and len(rest) + len(given) == 1:
    axis = _number(rest[0] if rest else given.get("axis"))
    before = axis is not None and (0 <= axis < max(2, len(dims)) or -len(dims) - 1 <= axis < -1)
    return [*([] for _ in dims[1:]), dims[-1]] if before else None
  if name == "squeeze" and len(rest) + len(given) == 1:
    return _reduced(dims, rest[0] if rest else given.get("axis"), None)
  return dims if name == "astype" else None


def _alike(first: Dims | None, second: Dims | None) -> Dims | None:
  """What both ways of a conditional expression have: the last axis, where it is one size."""
  if not first or not second or not first[-1] or first[-1][:1] != second[-1][:1]:
    return None
  return [*([] for _ in range(min(len(first), len(second)) - 1)), first[-1]]


def _operand(unit: Unit, node: ast.Call) -> tuple[ast.expr | None, list[ast.expr]]:
  """(the array, the other arguments) of `x.mean(1)` and `jnp.mean(x, 1)`."""
  if isinstance(node.func, ast.Attribute) and unit.dims(node.func.value) is not None:
    return node.func.value, node.args
  return (node.args[0], node.args[1:]) if node.args and not isinstance(node.args[0], ast.Starred) else (None, [])


def _number(node: ast.AST | None) -> int | None:
  try:
    value = ast.literal_eval(node) if isinstance(node, ast.expr) else None
  except (ValueError, TypeError, SyntaxError):
    return None
  return value if type(value) is int else None


def _indexed(dims: Dims | None, index: ast.expr) -> Dims | None:
  """`x[:, 0]`: a number takes an axis away, a slice leaves one whose size is known where it is all of it."""
  items = index.elts if isinstance(index, ast.Tuple) else [index]
  if dims is None or len(items) > len(dims):
    return dims if dims and len(items) == 2 else None  # `x[:, 0]` of tokens whose number nobody knows
  found: Dims = []
  dots = next((i for i, n in enumerate(items) if isinstance(n, ast.Constant) and n.value is ...), None)
  if dots is not None:  # what stands behind the dots counts from the end
    middle = [ast.Slice()] * (len(dims) - len(items) + 1)
    items = [*items[:dots], *middle, *items[dots + 1 :]]
  for item, axis in zip(items, dims, strict=False):
    if isinstance(item, ast.Slice):
      found.append(axis if item.lower is None and item.upper is None and item.step is None else [])
    elif _number(item) is None:
      return None
  return [*found, *dims[len(items) :]] or None


def _reduced(dims: Dims, axis: ast.expr | None, keeps: ast.expr | None) -> Dims | None:
  items = axis.elts if isinstance(axis, ast.Tuple | ast.List) else [axis]
  numbers = [_number(n) for n in items]
  if all(n is not None and n >= max(1, len(dims)) for n in numbers):
    return dims  # the first axes are unknown, and so are more of them than of the others
  if any(n is None or not -len(dims) <= n < len(dims) for n in numbers):
    return None
  gone = {n % len(dims) for n in numbers if n is not None}
  if keeps is not None:
    kept = isinstance(keeps, ast.Constant) and keeps.value is True
    return [["1"] if i in gone else d for i, d in enumerate(dims)] if kept else None
  return [d for i, d in enumerate(dims) if i not in gone] or None


def _reshaped(unit: Unit, dims: Dims, shape: list[ast.expr]) -> Dims | None:
  """The sizes that are written; a last -1 behind a first axis that stays is the product of all others."""
  if len(shape) == 1 and isinstance(shape[0], ast.Tuple | ast.List):
    shape = shape[0].elts
  if not shape or any(isinstance(n, ast.Starred) for n in shape):
    return None
  if len(shape) == 1 and (whole := _shape_of_field(unit, shape[0])):
    return whole
  found: Dims = [[] if _number(n) == -1 or (text := unit.try_static(n)) is None else [text] for n in shape]
  if len(shape) == 2 and _number(shape[1]) == -1 and len(dims) > 1 and all(dims[1:]):
    found[1] = [multiplied([axis[0] for axis in dims[1:]])]
  return found if any(found) else None


def _shape_of_field(unit: Unit, node: ast.expr) -> Dims:
  """The items of a field that holds a whole shape: `x.reshape(self.input_shape)`."""
  text = unit.try_static(node) or ""
  calls = [c for f in unit.project.facts for c in f.calls if isinstance(c.module, unit.info.cls)]
  shapes = [evaluate(text, c.module, {}) for c in calls] if text.startswith("self.") else []
  if not shapes or any(not isinstance(s, tuple | list) or len(s) != len(shapes[0]) for s in shapes):
    return []
  last = len(shapes[0]) - 1
  return [
    [] if any(type(s[i]) is not int or s[i] < 0 for s in shapes) else [f"{text}[{-1 if i == last else i}]"]
    for i in range(last + 1)
  ]


def _joined(unit: Unit, node: ast.Call, given: dict[str, ast.expr]) -> Dims | None:
  items = node.args[0] if node.args else given.get("arrays")
  axis = node.args[1] if len(node.args) > 1 else given.get("axis", given.get("dimension"))
  parts = [unit.dims(e) for e in items.elts] if isinstance(items, ast.Tuple | ast.List) else []
  known = [p for p in parts if p]
  if not known or len(known) != len(parts):
    return None
  rank = min(map(len, known))
  place = _number(axis) if axis is not None else 0
  if place is None or not -rank <= place < rank or (place >= 0 and {*map(len, known)} != {rank}):
    return None
  place = place - rank if place >= 0 else place
  found: Dims = [[] for _ in range(rank)]
  for j in range(-rank, 0):
    axes = [p[j] for p in known]
    if j != place:
      found[j] = next((a for a in axes if a), [])
    elif all(axes):
      found[j] = [" + ".join(a[0] for a in axes)]
  return found
