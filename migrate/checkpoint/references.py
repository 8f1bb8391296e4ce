"""Leaves of a source that a destination takes as they are stored, whole or chunk by chunk, without decoding them.

A zarr array is a grid of chunks, each an object of its own. Joining whole arrays, taking such a join apart and adding
or removing axes of size 1 changes where a chunk stands and what the metadata says, not one byte of the chunk. The
functions that operations call (the array API's `stack`, `concat`...) therefore work on the grid alone.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from migrate.checkpoint.stored import StoredLeaf
from migrate.core.op import product

_MOST = 1 << 16


class NotStoredSoError(Exception):
  """What is asked for is nowhere stored as it would have to be: the arrays must be read."""


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
  """A leaf that is stored in the source, as one array or as chunks of some.

  Attributes:
    origins: the paths in the source, for people.
    name: how the store calls the array; empty where it is made of chunks.
    shape: its shape.
    dtype: its NumPy dtype.
    layout: the stored metadata (zarr, version 2); None where only the whole can be taken.
    keys: the grid of the chunks' keys; None for a whole array.
  """

  origins: tuple[str, ...]
  name: str
  shape: tuple[int, ...]
  dtype: Any
  layout: Mapping[str, Any] | None = None
  keys: np.ndarray | None = None

  @property
  def ndim(self) -> int:
    """The number of axes."""
    return len(self.shape)

  @property
  def nbytes(self) -> int:
    """The size in memory."""
    return np.dtype(self.dtype).itemsize * product(self.shape)

  def read(self) -> Reference:
    """Itself: the data stays where it is."""
    return self

  def metadata(self) -> dict[str, Any]:
    """The metadata of an array that is made of chunks."""
    return {**(self.layout or {}), "shape": list(self.shape)}

  def chunks(self) -> list[tuple[str, str]]:
    """(key in the source, key below the new name) of every chunk."""
    grid, separator = self._grid(), (self.layout or {}).get("dimension_separator", ".")
    return [(str(grid[i]), separator.join(map(str, i)) or "0") for i in np.ndindex(grid.shape)]

  def __array_namespace__(self) -> Any:
    return _GRIDS

  def __array__(self, *_: Any, **__: Any) -> np.ndarray:
    raise TypeError("a reference is not read")

  def __getitem__(self, index: tuple[Any, ...]) -> Reference:
    """Slices and numbers that fall on the borders of chunks."""
    grid, chunk, shape = self._grid(), self._chunk(), []
    places: list[Any] = []
    dropped = []
    rest = [slice(None)] * (self.ndim - sum(i is not Ellipsis for i in index))
    full = list(itertools.chain.from_iterable(rest if i is Ellipsis else [i] for i in index))
    for axis, one in enumerate(full + [slice(None)] * (self.ndim - len(full))):
      if isinstance(one, slice):
        start, stop, step = one.indices(self.shape[axis])
        if step != 1 or start % chunk[axis] or (stop % chunk[axis] and stop != self.shape[axis]) or stop <= start:
          raise NotStoredSoError
        places.append(slice(start // chunk[axis], -(-stop // chunk[axis])))
        shape.append(stop - start)
      else:
        if chunk[axis] != 1:
          raise NotStoredSoError
        places.append(one)
        dropped.append(axis)
    kept = tuple(n for axis, n in enumerate(chunk) if axis not in dropped)
    taken = np.empty(tuple(-(-n // c) for n, c in zip(shape, kept, strict=True)), object)
    taken[...] = grid[tuple(places)]
    return self._with(taken, kept, tuple(shape))

  def _grid(self) -> np.ndarray:
    if self.keys is not None:
      return self.keys
    chunk, separator = self._chunk(), (self.layout or {}).get("dimension_separator", ".")
    grid = np.empty(tuple(-(-n // c) for n, c in zip(self.shape, chunk, strict=True)), object)
    if not 0 < grid.size <= _MOST:
      raise NotStoredSoError
    for i in np.ndindex(grid.shape):
      grid[i] = f"{self.name}/{separator.join(map(str, i)) or '0'}"
    return grid

  def _chunk(self) -> tuple[int, ...]:
    chunk = (self.layout or {}).get("chunks")
    if not isinstance(chunk, list) or len(chunk) != self.ndim or not all(type(n) is int and n > 0 for n in chunk):
      raise NotStoredSoError
    return tuple(chunk)

  def _with(self, keys: np.ndarray, chunk: Sequence[int], shape: tuple[int, ...]) -> Reference:
    layout = {**(self.layout or {}), "chunks": list(chunk)}
    return dataclasses.replace(self, name="", shape=shape, layout=layout, keys=keys)


def reference(origin: str, leaf: StoredLeaf) -> Reference:
  """A stored leaf as a reference to the whole of it."""
  return Reference((origin,), leaf.name, leaf.shape, leaf.dtype, leaf.layout)


class _Grids:
  """The array API, as far as it moves no bytes within chunks."""

  def __getattr__(self, name: str) -> Any:
    raise NotStoredSoError(name)

  def expand_dims(self, one: Reference, axis: int) -> Reference:
    axis %= one.ndim + 1
    shape, chunk = list(one.shape), list(one._chunk())
    shape.insert(axis, 1)
    chunk.insert(axis, 1)
    return one._with(np.expand_dims(one._grid(), axis), chunk, tuple(shape))

  def squeeze(self, one: Reference, axis: int) -> Reference:
    return one[(slice(None),) * (axis % one.ndim) + (0,)]

  def reshape(self, one: Reference, shape: tuple[int, ...]) -> Reference:
    if one._chunk() != one.shape:
      raise NotStoredSoError
    total = int(np.prod(one.shape, dtype=np.int64))
    known = -int(np.prod(shape, dtype=np.int64)) if -1 in shape else total
    new = tuple(total // known if n == -1 else n for n in shape)
    key = np.empty((1,) * len(new), object)
    key[...] = one._grid().reshape(-1)[0]
    return one._with(key, new, new)

  def concat(self, some: Sequence[Reference], axis: int) -> Reference:
    first, axis = some[0], axis % some[0].ndim
    chunk = first._chunk()
    plain = [{**(one.layout or {}), "shape": 0} for one in some]
    if any(one._chunk() != chunk or one.shape[axis] % chunk[axis] for one in some) or any(p != plain[0] for p in plain):
      raise NotStoredSoError
    shape = (*first.shape[:axis], sum(one.shape[axis] for one in some), *first.shape[axis + 1 :])
    joined = first._with(np.concatenate([one._grid() for one in some], axis), chunk, shape)
    return dataclasses.replace(joined, origins=tuple(dict.fromkeys(o for one in some for o in one.origins)))

  def stack(self, some: Sequence[Reference], axis: int) -> Reference:
    return self.concat([self.expand_dims(one, axis % (some[0].ndim + 1)) for one in some], axis % (some[0].ndim + 1))


_GRIDS = _Grids()


_COMPRESSORS = ("blosc", "bz2", "gzip", "zlib", "zstd")


def sound(layout: Any) -> bool:
  """Whether metadata of zarr, version 2, can be true: its arrays may be taken without being opened."""
  if not isinstance(layout, Mapping):
    return False
  shape, chunks, compressor = layout.get("shape"), layout.get("chunks"), layout.get("compressor", 0)
  return (
    layout.get("zarr_format") == 2
    and isinstance(shape, list)
    and isinstance(chunks, list)
    and len(chunks) == len(shape)
    and all(type(n) is int and 0 < n < 1 << 62 for n in chunks)
    and layout.get("order") in ("C", "F")
    and layout.get("filters", 0) is None
    and layout.get("dimension_separator", ".") in (".", "/")
    and (compressor is None or (isinstance(compressor, Mapping) and compressor.get("id") in _COMPRESSORS))
    and "fill_value" in layout
    and not isinstance(layout["fill_value"], list | dict)
  )


def may_be_cut(layout: Any) -> bool:
  """Whether chunks of this metadata keep their meaning in an array of another shape."""
  return sound(layout) and layout["order"] == "C"
