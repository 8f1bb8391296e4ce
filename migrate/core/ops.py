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

from migrate.core.joins import Concatenate, Split, Stack, Unstack
from migrate.core.op import Op, OpError, Shape, agrees, axis_of, integers, namespace, product
from migrate.core.report import refuse


@dataclasses.dataclass(frozen=True)
class Transpose(Op):
  """Permutes the axes: axis `i` of the result is axis `axes[i]` of the input; empty reverses them."""

  axes: Shape = ()

  def __post_init__(self) -> None:
    integers("Transpose", self.axes)
    if sorted(self.axes) != list(range(len(self.axes))):
      raise ValueError(f"Transpose: {self.axes} is not a permutation")

  def _order(self, rank: int) -> Shape:
    if self.axes and len(self.axes) != rank:
      raise OpError(f"Transpose{self.axes} of an array with {rank} axes")
    return self.axes or tuple(range(rank))[::-1]

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    return [namespace(a).permute_dims(a, self._order(a.ndim)) for a in arrays]

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
    integers("Reshape", self.target)
    if self.source is not None:
      integers("Reshape", self.source)
    for shape in (self.target, self.source or ()):
      if sum(n == -1 for n in shape) > 1 or any(n < -1 for n in shape):
        raise ValueError(f"Reshape: {shape} is not a shape")

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    out = []
    for s in shapes:
      if self.source is not None and not agrees(s, self.source):
        raise OpError(f"Reshape from {self.source} was given shape {s}")
      total, known = product(s), product(n for n in self.target if n != -1)
      if (-1 in self.target and (known == 0 or total % known)) or (-1 not in self.target and total != known):
        raise OpError(f"Reshape of shape {s} to {self.target}")
      out.append(tuple(total // known if n == -1 else n for n in self.target))
    return out

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    shapes = self.shape([tuple(a.shape) for a in arrays])
    return [namespace(a).reshape(a, s) for a, s in zip(arrays, shapes, strict=True)]

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
    integers("ExpandDims", (self.axis,))

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    return [namespace(a).expand_dims(a, axis=self.axis) for a in arrays]

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    return [(*s[:axis], 1, *s[axis:]) for s in shapes for axis in (axis_of(self.axis, len(s) + 1),)]

  def inverse(self) -> Op:
    return Squeeze(self.axis)


@dataclasses.dataclass(frozen=True)
class Squeeze(Op):
  """Removes an axis of size 1."""

  axis: int = 0

  def __post_init__(self) -> None:
    integers("Squeeze", (self.axis,))

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    return [namespace(a).squeeze(a, axis=self.axis) for a in arrays]

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    out = []
    for s in shapes:
      axis = axis_of(self.axis, len(s))
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
    return [namespace(a).astype(a, numpy_dtype(self.target)) for a in arrays]

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
    return [namespace(a).pad(a, self.widths, constant_values=self.value) for a in arrays]

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
