"""Names of axes (partitioning metadata) through the operations of a plan."""

from __future__ import annotations

from collections.abc import Sequence

from migrate.core.joins import Concatenate, Stack, Unstack
from migrate.core.op import Op, Shape, axis_of, groups
from migrate.core.ops import ExpandDims, Reshape, Split, Squeeze, Transpose

Names = tuple[str | tuple[str, ...] | None, ...]
"""One name (or several, or none) an axis."""


def names_after(ops: Sequence[Op], names: Sequence[Names | None], shapes: Sequence[Shape]) -> list[Names | None]:
  """The names of the axes after the operations; None for an array whose axes have none that are known.

  A new axis has no name, and one that is taken away takes its own along. A reshape, and joining arrays of other names,
  leave nothing known.
  """
  now, at = list(names), list(shapes)
  for op in ops:
    now = _step(op, now, at)
    at = op.shape(at)
  return now


def _step(op: Op, names: list[Names | None], shapes: list[Shape]) -> list[Names | None]:
  if isinstance(op, Concatenate | Stack):
    count = len(op.parts) if isinstance(op.parts, tuple) else op.parts
    joined = [g[0] if len(set(g)) == 1 else None for g in groups(names, count, type(op).__name__)]
    return [_inserted(n, op.axis) for n in joined] if isinstance(op, Stack) else joined
  if isinstance(op, Split | Unstack):
    many = [len(op.shape([s])) for s in shapes]
    taken = [_removed(n, op.axis) if isinstance(op, Unstack) else n for n in names]
    return [n for n, times in zip(taken, many, strict=True) for _ in range(times)]
  if isinstance(op, Transpose):
    order = [op.axes or tuple(range(len(s)))[::-1] for s in shapes]
    return [None if n is None else tuple(n[i] for i in o) for n, o in zip(names, order, strict=True)]
  if isinstance(op, ExpandDims):
    return [_inserted(n, op.axis) for n in names]
  if isinstance(op, Squeeze):
    return [_removed(n, op.axis) for n in names]
  return [None] * len(names) if isinstance(op, Reshape) else names


def _inserted(names: Names | None, axis: int) -> Names | None:
  if names is None:
    return None
  at = axis_of(axis, len(names) + 1)
  return (*names[:at], None, *names[at:])


def _removed(names: Names | None, axis: int) -> Names | None:
  if names is None:
    return None
  at = axis_of(axis, len(names))
  return names[:at] + names[at + 1 :]
