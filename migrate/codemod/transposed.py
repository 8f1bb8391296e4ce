"""Axes of arrays whose axes change places: `jnp.transpose(x, (0, 3, 1, 2))` and its kin."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from migrate.codemod.scope import Dims
  from migrate.codemod.unit import Unit


def transposed(unit: Unit, node: ast.AST) -> Dims | None:
  """The axes of the result in terms of those of the operand; None for anything else, and where axes are computed."""
  if isinstance(node, ast.Attribute) and node.attr in ("T", "mT") and unit.array_events(node.value):
    dims = unit.dims(node.value) or []
    return list(dims[::-1] if node.attr == "T" else [*dims[:-2], *dims[-2:][::-1]])
  if not isinstance(node, ast.Call):
    return None
  full = unit.resolve(node.func) or ""
  if full.startswith(("jax.numpy.", "numpy.")) and node.args:
    name, operand, rest = full.rpartition(".")[2], node.args[0], node.args[1:]
  elif isinstance(node.func, ast.Attribute) and unit.array_events(node.func.value):
    name, operand, rest = node.func.attr, node.func.value, node.args
  else:
    return None
  order = _ORDERS.get(name)
  dims = unit.dims(operand) if order is not None and unit.array_events(operand) else None
  if order is None or not dims:
    return None
  try:
    given = [ast.literal_eval(a) for a in rest]
    named = {k.arg: ast.literal_eval(k.value) for k in node.keywords}
    places = order(len(dims), *given, **named)  # type: ignore[arg-type]
    return [list(dims[i]) for i in places]
  except (ValueError, TypeError, IndexError, SyntaxError):
    return None


def _transpose(rank: int, *given: Any, axes: Any = None) -> list[int]:
  order = axes if axes is not None else given[0] if len(given) == 1 and not isinstance(given[0], int) else given
  return list(order) if order else list(range(rank))[::-1]


def _swapaxes(rank: int, axis1: int, axis2: int) -> list[int]:
  order = list(range(rank))
  order[axis1], order[axis2] = order[axis2], order[axis1]
  return order


def _moveaxis(rank: int, source: int, destination: int) -> list[int]:
  order = list(range(rank))
  moved = order.pop(source)
  order.insert(destination % rank, moved)
  return order


_ORDERS = {
  "transpose": _transpose,
  "permute_dims": _transpose,
  "swapaxes": _swapaxes,
  "moveaxis": _moveaxis,
}
