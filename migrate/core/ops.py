"""Array operations as frozen values: apply, abstract shape, inverse, JSON both ways.

Written against the array API (`__array_namespace__`), so that NumPy arrays and sharded jax arrays both work
without importing jax. An operation takes a list of arrays and gives a list: those that join arrays work on
consecutive groups of `parts`, the others on each array by itself.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from migrate.core.report import refuse

Shape = tuple[int, ...]


class OpError(ValueError):
  """An operation met shapes that it cannot take; the planner adds the paths."""


class Op:
  """One step from Linen to NNX. Subclasses are frozen dataclasses of plain values."""

  layout_only: ClassVar[bool] = True
  """Whether values are only moved, so that optimizer moments may follow."""

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    """The arrays after this step."""
    raise NotImplementedError

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    """The shapes after this step. Raises OpError where they do not fit."""
    raise NotImplementedError

  def dtype(self, dtype: str) -> str:
    """The dtype after this step."""
    return dtype

  def bind(self, shapes: Sequence[Shape], dtype: str) -> Op:
    """The same step with all that its inverse must know, read from its input."""
    del shapes, dtype
    return self

  def inverse(self) -> Op:
    """The step that undoes this one. Raises OpError where not enough is known: bind it first."""
    raise NotImplementedError


def _axis(axis: int, rank: int) -> int:
  if not -rank <= axis < rank:
    raise OpError(f"axis {axis} of an array with {rank} axes")
  return axis % rank


def _groups(items: Sequence[Any], count: int | None, name: str) -> list[Sequence[Any]]:
  count = len(items) if count is None else count
  if not items or count < 1 or len(items) % count:
    raise OpError(f"{name} takes {count} arrays at a time and was given {len(items)}")
  return [items[i : i + count] for i in range(0, len(items), count)]


def _namespace(array: Any) -> Any:
  return array.__array_namespace__() if hasattr(array, "__array_namespace__") else np


def _parts(name: str, parts: Any) -> None:
  sizes = parts if isinstance(parts, tuple) else () if parts is None else (parts,)
  if (isinstance(parts, tuple) and not parts) or any(type(n) is not int or n < 0 for n in sizes) or parts == 0:
    raise ValueError(f"{name}: parts is a count or a tuple of sizes, not {parts!r}")


def _integers(name: str, values: Any) -> None:
  if not isinstance(values, tuple) or any(type(n) is not int for n in values):
    raise ValueError(f"{name} takes integers, not {values!r}")


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
    _parts("Concatenate", self.parts)
    _integers("Concatenate", (self.axis,))

  @property
  def _count(self) -> int | None:
    return len(self.parts) if isinstance(self.parts, tuple) else self.parts

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    return [_namespace(g[0]).concat(list(g), axis=self.axis) for g in _groups(arrays, self._count, "Concatenate")]

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    out = []
    for group in _groups(shapes, self._count, "Concatenate"):
      axis = _axis(self.axis, len(group[0]))
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
    group = _groups(shapes, self._count, "Concatenate")[0]
    sizes = tuple(s[_axis(self.axis, len(s))] for s in group)
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
    _parts("Split", self.parts)
    _integers("Split", (self.axis,))

  def _sizes(self, shape: Shape) -> tuple[int, Shape]:
    axis = _axis(self.axis, len(shape))
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
    _parts("Stack", self.parts)
    _integers("Stack", (self.axis,))

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    return [_namespace(g[0]).stack(list(g), axis=self.axis) for g in _groups(arrays, self.parts, "Stack")]

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    out = []
    for group in _groups(shapes, self.parts, "Stack"):
      if len(set(group)) > 1:
        raise OpError(f"Stack of arrays that differ: {', '.join(sorted(map(str, set(group))))}")
      axis = _axis(self.axis, len(group[0]) + 1)
      out.append((*group[0][:axis], len(group), *group[0][axis:]))
    return out

  def bind(self, shapes: Sequence[Shape], dtype: str) -> Op:
    return Stack(len(_groups(shapes, self.parts, "Stack")[0]), self.axis)

  def inverse(self) -> Op:
    return Unstack(self.parts, self.axis)


@dataclasses.dataclass(frozen=True)
class Unstack(Op):
  """Takes each array apart along an axis; None for as many as there are."""

  parts: int | None = None
  axis: int = 0

  def __post_init__(self) -> None:
    _parts("Unstack", self.parts)
    _integers("Unstack", (self.axis,))

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    out = []
    for array in arrays:
      axis = _axis(self.axis, array.ndim)
      out += [array[(slice(None),) * axis + (i, ...)] for i in range(array.shape[axis])]
    return out

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    out = []
    for s in shapes:
      axis = _axis(self.axis, len(s))
      if self.parts is not None and s[axis] != self.parts:
        raise OpError(f"Unstack({self.parts}) on axis {self.axis} of shape {s}")
      out += [s[:axis] + s[axis + 1 :]] * s[axis]
    return out

  def bind(self, shapes: Sequence[Shape], dtype: str) -> Op:
    self.shape(shapes)
    return Unstack(shapes[0][self.axis], self.axis)

  def inverse(self) -> Op:
    return Stack(self.parts, self.axis)


@dataclasses.dataclass(frozen=True)
class Transpose(Op):
  """Permutes the axes: axis `i` of the result is axis `axes[i]` of the input; empty reverses them."""

  axes: Shape = ()

  def __post_init__(self) -> None:
    _integers("Transpose", self.axes)
    if sorted(self.axes) != list(range(len(self.axes))):
      raise ValueError(f"Transpose: {self.axes} is not a permutation")

  def _order(self, rank: int) -> Shape:
    if self.axes and len(self.axes) != rank:
      raise OpError(f"Transpose{self.axes} of an array with {rank} axes")
    return self.axes or tuple(range(rank))[::-1]

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    return [_namespace(a).permute_dims(a, self._order(a.ndim)) for a in arrays]

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    return [tuple(s[i] for i in self._order(len(s))) for s in shapes]

  def inverse(self) -> Op:
    return Transpose(tuple(self.axes.index(i) for i in range(len(self.axes))))


@dataclasses.dataclass(frozen=True)
class Reshape(Op):
  """Gives each array another shape of as many elements.

  Attributes:
    target: the new shape; one -1 is worked out.
    source: the old shape, for the way back; the plan fills it in.
  """

  target: Shape
  source: Shape | None = None

  def __post_init__(self) -> None:
    _integers("Reshape", self.target)
    if self.source is not None:
      _integers("Reshape", self.source)
    for shape in (self.target, self.source or ()):
      if sum(n == -1 for n in shape) > 1 or any(n < -1 for n in shape):
        raise ValueError(f"Reshape: {shape} is not a shape")

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    out = []
    for s in shapes:
      if self.source is not None and not _agrees(s, self.source):
        raise OpError(f"Reshape from {self.source} was given shape {s}")
      total, known = _product(s), _product(n for n in self.target if n != -1)
      if (-1 in self.target and (known == 0 or total % known)) or (-1 not in self.target and total != known):
        raise OpError(f"Reshape of shape {s} to {self.target}")
      out.append(tuple(total // known if n == -1 else n for n in self.target))
    return out

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    shapes = self.shape([tuple(a.shape) for a in arrays])
    return [_namespace(a).reshape(a, s) for a, s in zip(arrays, shapes, strict=True)]

  def bind(self, shapes: Sequence[Shape], dtype: str) -> Op:
    targets = self.shape(shapes)
    return Reshape(targets[0], shapes[0]) if len(set(shapes)) == 1 else self

  def inverse(self) -> Op:
    if self.source is None:
      raise OpError("Reshape does not know its old shape: write Reshape(new, old)")
    return Reshape(self.source, self.target)


@dataclasses.dataclass(frozen=True)
class ExpandDims(Op):
  """Adds an axis of size 1."""

  axis: int = 0

  def __post_init__(self) -> None:
    _integers("ExpandDims", (self.axis,))

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    return [_namespace(a).expand_dims(a, axis=self.axis) for a in arrays]

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    return [(*s[:axis], 1, *s[axis:]) for s in shapes for axis in (_axis(self.axis, len(s) + 1),)]

  def inverse(self) -> Op:
    return Squeeze(self.axis)


@dataclasses.dataclass(frozen=True)
class Squeeze(Op):
  """Removes an axis of size 1."""

  axis: int = 0

  def __post_init__(self) -> None:
    _integers("Squeeze", (self.axis,))

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    return [_namespace(a).squeeze(a, axis=self.axis) for a in arrays]

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    out = []
    for s in shapes:
      axis = _axis(self.axis, len(s))
      if s[axis] != 1:
        raise OpError(f"Squeeze of axis {self.axis} of shape {s}")
      out.append(s[:axis] + s[axis + 1 :])
    return out

  def inverse(self) -> Op:
    return ExpandDims(self.axis)


@dataclasses.dataclass(frozen=True)
class Cast(Op):
  """Changes the dtype. Not for moments: values change."""

  layout_only: ClassVar[bool] = False
  target: str
  source: str | None = None

  def __post_init__(self) -> None:
    if not isinstance(self.target, str) or not isinstance(self.source, str | None):
      raise ValueError(f"Cast takes dtype names, not {self.target!r}")

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    return [_namespace(a).astype(a, numpy_dtype(self.target)) for a in arrays]

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    return list(shapes)

  def dtype(self, dtype: str) -> str:
    if self.source not in (None, dtype):
      raise OpError(f"Cast from {self.source} was given {dtype}")
    return self.target

  def bind(self, shapes: Sequence[Shape], dtype: str) -> Op:
    self.dtype(dtype)
    return Cast(self.target, dtype)

  def inverse(self) -> Op:
    if self.source is None:
      raise OpError("Cast does not know its old dtype: write Cast('bfloat16', 'float32')")
    return Cast(self.source, self.target)


@dataclasses.dataclass(frozen=True)
class Pad(Op):
  """Adds `(before, after)` entries of `value` on each axis. Not for moments."""

  layout_only: ClassVar[bool] = False
  widths: tuple[tuple[int, int], ...]
  value: float = 0.0

  def __post_init__(self) -> None:
    _check_widths(self.widths)

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    self.shape([tuple(a.shape) for a in arrays])
    return [_namespace(a).pad(a, self.widths, constant_values=self.value) for a in arrays]

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    if any(len(s) != len(self.widths) for s in shapes):
      raise OpError(f"Pad of {len(self.widths)} axes was given shape {shapes[0]}")
    return [tuple(n + b + a for n, (b, a) in zip(s, self.widths, strict=True)) for s in shapes]

  def inverse(self) -> Op:
    return Crop(self.widths, self.value)


@dataclasses.dataclass(frozen=True)
class Crop(Op):
  """Takes `(before, after)` entries off each axis; `value` is what the way back puts there."""

  layout_only: ClassVar[bool] = False
  widths: tuple[tuple[int, int], ...]
  value: float = 0.0

  def __post_init__(self) -> None:
    _check_widths(self.widths)

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    self.shape([tuple(a.shape) for a in arrays])
    return [a[tuple(slice(b, n - e) for n, (b, e) in zip(a.shape, self.widths, strict=True))] for a in arrays]

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    for s in shapes:
      if len(s) != len(self.widths) or any(n < b + a for n, (b, a) in zip(s, self.widths, strict=True)):
        raise OpError(f"Crop by {self.widths} of shape {s}")
    return [tuple(n - b - a for n, (b, a) in zip(s, self.widths, strict=True)) for s in shapes]

  def inverse(self) -> Op:
    return Pad(self.widths, self.value)


def _check_widths(widths: Any) -> None:
  if not isinstance(widths, tuple) or any(
    not isinstance(w, tuple) or len(w) != 2 or any(type(n) is not int or n < 0 for n in w) for w in widths
  ):
    raise ValueError(f"widths are (before, after) pairs, one an axis, not {widths!r}")


def _product(sizes: Any) -> int:
  total = 1
  for n in sizes:
    total *= n
  return total


def _agrees(shape: Shape, wanted: Shape) -> bool:
  return len(shape) == len(wanted) and all(w in (-1, n) for n, w in zip(shape, wanted, strict=True))


def numpy_dtype(name: str) -> Any:
  """The NumPy dtype of that name, bfloat16 and its kin included (they come with ml_dtypes)."""
  try:
    return np.dtype(name)
  except TypeError:
    try:
      return np.dtype(getattr(importlib.import_module("ml_dtypes"), name))
    except (ImportError, AttributeError, TypeError):
      raise refuse(name, "not a dtype", "a name such as float32 or bfloat16", "correct the name") from None


OPS: dict[str, type[Op]] = {c.__name__: c for c in (
  Concatenate, Split, Stack, Unstack, Transpose, Reshape, ExpandDims, Squeeze, Cast, Pad, Crop)}  # fmt: skip


def op_to_json(op: Op) -> dict[str, Any]:
  """A plain dict: `{"op": name}` and the fields that are not at their default."""
  out: dict[str, Any] = {"op": type(op).__name__}
  for field in dataclasses.fields(op):  # type: ignore[arg-type]
    value = getattr(op, field.name)
    if field.default is dataclasses.MISSING or value != field.default:
      out[field.name] = _listed(value)
  return out


def op_from_json(data: Any) -> Op:
  """The inverse of `op_to_json`. Raises MigrateError for what is no operation."""
  if not isinstance(data, dict) or not isinstance(data.get("op"), str) or data["op"] not in OPS:
    raise refuse(
      "ops",
      f"{data!r:.200} is not an operation",
      f"one of {', '.join(OPS)}",
      'write {"op": "Transpose", "axes": [1, 0]}',
    )
  try:
    return OPS[data["op"]](**{k: _tupled(v) for k, v in data.items() if k != "op"})
  except (TypeError, ValueError) as error:
    raise refuse(f"ops: {data['op']}", str(error), "the operation's own fields", "correct the operation") from error


def _listed(value: Any) -> Any:
  return [_listed(v) for v in value] if isinstance(value, tuple) else value


def _tupled(value: Any) -> Any:
  return tuple(_tupled(v) for v in value) if isinstance(value, list) else value


def run_ops(ops: Sequence[Op], arrays: Sequence[Any]) -> list[Any]:
  """The arrays after all the steps."""
  out = list(arrays)
  for op in ops:
    out = op.apply(out)
  return out


def bind_ops(ops: Sequence[Op], shapes: Sequence[Shape], dtype: str) -> tuple[tuple[Op, ...], list[Shape], str]:
  """The steps with what their inverses need, and the shapes and dtype after them. Raises OpError."""
  bound, at = [], list(shapes)
  for op in ops:
    bound.append(op.bind(at, dtype))
    at, dtype = bound[-1].shape(at), bound[-1].dtype(dtype)
  return tuple(bound), at, dtype


def invert_ops(ops: Sequence[Op]) -> tuple[Op, ...]:
  """The steps of the way back."""
  return tuple(op.inverse() for op in reversed(ops))


__all__ = [
  "OPS", "Cast", "Concatenate", "Crop", "ExpandDims", "Op", "OpError", "Pad", "Reshape", "Shape", "Split", "Squeeze",
  "Stack", "Transpose", "Unstack", "bind_ops", "invert_ops", "numpy_dtype", "op_from_json", "op_to_json", "run_ops",
]  # fmt: skip
