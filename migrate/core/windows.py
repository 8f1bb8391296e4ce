"""Stored arrays of which a part is read: operations move the borders of the part, and no data until it is read.

The functions that operations call (the array API's `stack`, `permute_dims`...) make another `Window` of a `Window`. When
a part of the result is asked for, it is traced back to the parts of the stored arrays that it is made of.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from migrate.core.op import Shape, product

Ranges = tuple[tuple[int, int], ...]
"""(start, stop) on each axis."""


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
  """An array of which any part can be read.

  Attributes:
    shape: of the whole.
    dtype: its NumPy dtype.
    fetch: reads the part at these ranges.
  """

  shape: Shape
  dtype: Any
  fetch: Callable[[Ranges], np.ndarray] = dataclasses.field(repr=False)

  @classmethod
  def of(cls, leaf: Any) -> Window:
    """The window of a leaf that has `part`."""
    return cls(leaf.shape, leaf.dtype, lambda ranges: leaf.part(tuple(slice(*r) for r in ranges)))

  @property
  def ndim(self) -> int:
    """The number of axes."""
    return len(self.shape)

  def read(self, index: tuple[Any, ...] = ()) -> np.ndarray:
    """The part at an index of slices without steps; by default the whole."""
    full = [*index, *[slice(None)] * (self.ndim - len(index))]
    ranges = tuple(s.indices(n)[:2] for s, n in zip(full, self.shape, strict=True))
    if any(stop <= start for start, stop in ranges):
      return np.empty(tuple(max(stop - start, 0) for start, stop in ranges), self.dtype)
    return self.fetch(ranges)

  def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
    return np.asarray(self.read(), *args, **kwargs)

  def __array_namespace__(self) -> Any:
    return _WINDOWS

  def __getitem__(self, index: tuple[Any, ...]) -> Window:
    rest = [slice(None)] * (self.ndim - sum(i is not Ellipsis for i in index))
    full = list(itertools.chain.from_iterable(rest if i is Ellipsis else [i] for i in index))
    full += [slice(None)] * (self.ndim - len(full))
    within = [s.indices(n)[:2] if isinstance(s, slice) else (s, s + 1) for s, n in zip(full, self.shape, strict=True)]
    gone = tuple(axis for axis, s in enumerate(full) if not isinstance(s, slice))

    def fetch(ranges: Ranges) -> np.ndarray:
      left = iter(ranges)
      moved = [w if axis in gone else _moved(next(left), w[0]) for axis, w in enumerate(within)]
      return np.squeeze(self.fetch(tuple(moved)), gone)

    kept = tuple(max(stop - start, 0) for axis, (start, stop) in enumerate(within) if axis not in gone)
    return Window(kept, self.dtype, fetch)


def _moved(one: tuple[int, int], by: int) -> tuple[int, int]:
  return one[0] + by, one[1] + by


class _Windows:
  """The array API, as far as operations use it."""

  def permute_dims(self, one: Window, axes: Shape) -> Window:
    def fetch(ranges: Ranges) -> np.ndarray:
      return one.fetch(tuple(ranges[axes.index(i)] for i in range(one.ndim))).transpose(axes)

    return Window(tuple(one.shape[i] for i in axes), one.dtype, fetch)

  def expand_dims(self, one: Window, axis: int) -> Window:
    axis %= one.ndim + 1

    def fetch(ranges: Ranges) -> np.ndarray:
      return np.expand_dims(one.fetch(ranges[:axis] + ranges[axis + 1 :]), axis)

    return Window((*one.shape[:axis], 1, *one.shape[axis:]), one.dtype, fetch)

  def squeeze(self, one: Window, axis: int) -> Window:
    return one[(slice(None),) * (axis % one.ndim) + (0,)]

  def astype(self, one: Window, dtype: Any) -> Window:
    return Window(one.shape, dtype, lambda ranges: one.fetch(ranges).astype(dtype))

  def concat(self, some: Sequence[Window], axis: int) -> Window:
    axis %= some[0].ndim
    ends = list(itertools.accumulate(one.shape[axis] for one in some))

    def fetch(ranges: Ranges) -> np.ndarray:
      start, stop = ranges[axis]
      parts = []
      for one, end in zip(some, ends, strict=True):
        before = end - one.shape[axis]
        if max(start, before) < min(stop, end):
          within = (max(start, before) - before, min(stop, end) - before)
          parts.append(one.fetch((*ranges[:axis], within, *ranges[axis + 1 :])))
      return parts[0] if len(parts) == 1 else np.concatenate(parts, axis)

    return Window((*some[0].shape[:axis], ends[-1], *some[0].shape[axis + 1 :]), some[0].dtype, fetch)

  def stack(self, some: Sequence[Window], axis: int) -> Window:
    axis %= some[0].ndim + 1
    return self.concat([self.expand_dims(one, axis) for one in some], axis)

  def pad(self, one: Window, widths: Sequence[tuple[int, int]], constant_values: Any) -> Window:
    def fetch(ranges: Ranges) -> np.ndarray:
      out = np.full(tuple(stop - start for start, stop in ranges), constant_values, one.dtype)
      inner = [
        (max(start, b), min(stop, b + n)) for (start, stop), (b, _), n in zip(ranges, widths, one.shape, strict=True)
      ]
      if all(start < stop for start, stop in inner):
        place = tuple(slice(i[0] - r[0], i[1] - r[0]) for i, r in zip(inner, ranges, strict=True))
        out[place] = one.fetch(tuple(_moved(i, -b) for i, (b, _) in zip(inner, widths, strict=True)))
      return out

    shape = tuple(n + b + a for n, (b, a) in zip(one.shape, widths, strict=True))
    return Window(shape, one.dtype, fetch)

  def reshape(self, one: Window, shape: Shape) -> Window:
    """Axes that are joined or split are traced back together: the rows that hold the part are read."""
    groups = _groups(one.shape, shape)

    def fetch(ranges: Ranges) -> np.ndarray:
      boxes: list[tuple[int, int]] = []
      takes: list[Any] = []
      for old, new in groups:
        box, take = _traced(one.shape[slice(*old)], shape[slice(*new)], ranges[slice(*new)])
        boxes += box
        takes.append(take)
      flat = tuple(product(stop - start for start, stop in boxes[slice(*old)]) for old, _ in groups)
      part = one.fetch(tuple(boxes)).reshape(flat)
      for axis, take in enumerate(takes):
        part = part[(slice(None),) * axis + (take,)]
      return part.reshape(tuple(stop - start for start, stop in ranges))

    return Window(shape, one.dtype, fetch)


_WINDOWS = _Windows()


def _groups(old: Shape, new: Shape) -> list[tuple[tuple[int, int], tuple[int, int]]]:
  """Runs of axes of either shape that hold as many elements as one another: the fewest axes in each."""
  out = []
  i = j = 0
  while i < len(old) or j < len(new):
    start, left, right = (i, j), 1, 1
    while left != right or start == (i, j):
      if i < len(old) and (left <= right or j == len(new)):
        left, i = left * old[i], i + 1
      elif j < len(new):
        right, j = right * new[j], j + 1
      else:
        break
    out.append(((start[0], i), (start[1], j)))
  return out


def _traced(old: Shape, new: Shape, ranges: Ranges) -> tuple[Ranges, Any]:
  """The ranges of the old axes that hold a part of the new ones, and where it is among their elements in a row."""
  strides = [product(new[axis + 1 :]) for axis in range(len(new))]
  first = low = sum(start * stride for (start, _), stride in zip(ranges, strides, strict=True))
  last = high = sum((stop - 1) * stride for (_, stop), stride in zip(ranges, strides, strict=True))
  box: list[tuple[int, int]] = []
  for axis, length in enumerate(old):
    stride = product(old[axis + 1 :])
    at = low // stride
    if at != high // stride:
      box += [(at, high // stride + 1), *((0, n) for n in old[axis + 1 :])]
      low -= at * stride
      break
    assert at < length
    box.append((at, at + 1))
    low, high = low - at * stride, high - at * stride
  count = product(stop - start for start, stop in ranges)
  if count == last - first + 1:
    return tuple(box), slice(low, low + count)
  places = np.zeros((1,) * len(ranges), np.int64)
  for axis, ((start, stop), stride) in enumerate(zip(ranges, strides, strict=True)):
    places = places + (np.arange(start, stop) * stride).reshape([-1 if a == axis else 1 for a in range(len(ranges))])
  return tuple(box), places.reshape(-1) - first + low
