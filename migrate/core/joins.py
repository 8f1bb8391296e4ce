"""Operations that join arrays and take them apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from migrate.core.op import Op, OpError, Shape, axis_of, groups, integers, namespace, parts_of


@dataclasses.dataclass(frozen=True)
class Concatenate(Op):
  """Joins arrays on an axis that they have.

  Attributes:
    parts: how many arrays of one size, or each one's size; None for all that are given.
    axis: the axis, counted from the end where negative.
  """

  parts: int | Shape | None = None
  axis: int = -1

  def __post_init__(self) -> None:
    parts_of("Concatenate", self.parts)
    integers("Concatenate", (self.axis,))

  @property
  def _count(self) -> int | None:
    return len(self.parts) if isinstance(self.parts, tuple) else self.parts

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    return [namespace(g[0]).concat(list(g), axis=self.axis) for g in groups(arrays, self._count, "Concatenate")]

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    out = []
    for group in groups(shapes, self._count, "Concatenate"):
      axis = axis_of(self.axis, len(group[0]))
      rest = {s[:axis] + s[axis + 1 :] for s in group if len(s) == len(group[0])}
      if len(rest) != 1 or any(len(s) != len(group[0]) for s in group):
        raise OpError(f"Concatenate on axis {self.axis} of shapes {', '.join(map(str, group))}")
      sizes = tuple(s[axis] for s in group)
      if isinstance(self.parts, tuple) and sizes != self.parts:
        raise OpError(f"Concatenate expects sizes {self.parts} on axis {self.axis} and found {sizes}")
      if isinstance(self.parts, int) and len(set(sizes)) > 1:
        raise OpError(
          f"Concatenate({self.parts}) expects one size on axis {self.axis} and found {sizes}: give the sizes as parts"
        )
      out.append((*group[0][:axis], sum(sizes), *group[0][axis + 1 :]))
    return out

  def bind(self, shapes: Sequence[Shape], dtype: str) -> Op:
    self.shape(shapes)
    group = groups(shapes, self._count, "Concatenate")[0]
    sizes = tuple(s[axis_of(self.axis, len(s))] for s in group)
    return Concatenate(len(sizes) if len(set(sizes)) == 1 else sizes, self.axis)

  def inverse(self) -> Op:
    if self.parts is None:
      raise OpError("Concatenate() does not know its parts: write Concatenate(4) or the sizes")
    return Split(self.parts, self.axis)


@dataclasses.dataclass(frozen=True)
class Split(Op):
  """Cuts each array on an axis, into `parts` equal pieces or pieces of those sizes."""

  parts: int | Shape
  axis: int = -1

  def __post_init__(self) -> None:
    if self.parts is None:
      raise ValueError("Split needs parts")
    parts_of("Split", self.parts)
    integers("Split", (self.axis,))

  def _sizes(self, shape: Shape) -> tuple[int, Shape]:
    axis = axis_of(self.axis, len(shape))
    if isinstance(self.parts, int):
      if shape[axis] % self.parts:
        raise OpError(f"Split({self.parts}) on axis {self.axis} of shape {shape}")
      return axis, (shape[axis] // self.parts,) * self.parts
    if sum(self.parts) != shape[axis]:
      raise OpError(f"Split into {self.parts} on axis {self.axis} of shape {shape}")
    return axis, self.parts

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    out = []
    for array in arrays:
      axis, sizes = self._sizes(tuple(array.shape))
      start = 0
      for size in sizes:
        out.append(array[(slice(None),) * axis + (slice(start, start + size),)])
        start += size
    return out

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    return [(*s[:axis], n, *s[axis + 1 :]) for s in shapes for axis, sizes in (self._sizes(s),) for n in sizes]

  def inverse(self) -> Op:
    return Concatenate(self.parts, self.axis)


@dataclasses.dataclass(frozen=True)
class Stack(Op):
  """Puts arrays of one shape on a new axis; None for all that are given."""

  parts: int | None = None
  axis: int = 0

  def __post_init__(self) -> None:
    parts_of("Stack", self.parts)
    integers("Stack", (self.axis,))

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    return [namespace(g[0]).stack(list(g), axis=self.axis) for g in groups(arrays, self.parts, "Stack")]

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    out = []
    for group in groups(shapes, self.parts, "Stack"):
      if len(set(group)) > 1:
        raise OpError(f"Stack of arrays that differ: {', '.join(sorted(map(str, set(group))))}")
      axis = axis_of(self.axis, len(group[0]) + 1)
      out.append((*group[0][:axis], len(group), *group[0][axis:]))
    return out

  def bind(self, shapes: Sequence[Shape], dtype: str) -> Op:
    return Stack(len(groups(shapes, self.parts, "Stack")[0]), self.axis)

  def inverse(self) -> Op:
    return Unstack(self.parts, self.axis)


@dataclasses.dataclass(frozen=True)
class Unstack(Op):
  """Takes each array apart along an axis; None for as many as there are."""

  parts: int | None = None
  axis: int = 0

  def __post_init__(self) -> None:
    parts_of("Unstack", self.parts)
    integers("Unstack", (self.axis,))

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    out = []
    for array in arrays:
      axis = axis_of(self.axis, array.ndim)
      out += [array[(slice(None),) * axis + (i, ...)] for i in range(array.shape[axis])]
    return out

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    out = []
    for s in shapes:
      axis = axis_of(self.axis, len(s))
      if self.parts is not None and s[axis] != self.parts:
        raise OpError(f"Unstack({self.parts}) on axis {self.axis} of shape {s}")
      out += [s[:axis] + s[axis + 1 :]] * s[axis]
    return out

  def bind(self, shapes: Sequence[Shape], dtype: str) -> Op:
    self.shape(shapes)
    return Unstack(shapes[0][self.axis], self.axis)

  def inverse(self) -> Op:
    return Stack(self.parts, self.axis)
