"""Arrays into an OCDBT store, some megabytes at a time, one batch being written while the next one gathers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from migrate.checkpoint.memory import give_back
from migrate.checkpoint.remote import Place, kvstore

_BATCH = 16 << 20
_CHUNK = 16 << 20
_LARGE = 32 << 20


class ArrayWriter:
  """Writes arrays, in a bounded amount of memory. Call `close` when all are given.

  Attributes:
    base: the OCDBT store as TensorStore describes it.
    context: shared by all who open the store.
  """

  def __init__(self, folder: Place, zarr3: bool = False):
    import tensorstore as ts

    self.ts = ts
    self.driver = "zarr3" if zarr3 else "zarr"
    self.base = {"driver": "ocdbt", "base": kvstore(folder)}
    self.context = ts.Context({"cache_pool": {"total_bytes_limit": 0}})
    self.transaction = ts.Transaction()
    self._pending: list[Any] = []
    self._size = 0
    self._last: Callable[[], None] = lambda: None

  def add(self, name: str, array: np.ndarray) -> None:
    """Takes one array."""
    spec: dict[str, Any] = {"driver": self.driver, "kvstore": {**self.base, "path": f"{name}/"}}
    large = array.nbytes > _LARGE
    chunk = chunks_of(array.shape, array.itemsize)
    if large:  # a transaction would hold all of it twice
      self.flush()
      self._wait()
    try:
      opened = self.ts.open(
        spec | {"store_data_equal_to_fill_value": True},
        create=True,
        open=True,
        context=self.context,
        transaction=None if large else self.transaction,
        dtype=array.dtype,
        shape=array.shape,
        chunk_layout=self.ts.ChunkLayout(chunk_shape=chunk),
      ).result()
      if large:
        _write_chunks(opened, array, chunk)
        give_back()
        return
    except (ValueError, RuntimeError) as error:
      raise not_written(error) from error
    self.started(opened.write(array), array.nbytes)

  def started(self, future: Any, size: int) -> None:
    """Takes a write that was started within `transaction`; has the batch written when it is large enough."""
    self._pending.append(future)
    self._size += size
    if self._size > _BATCH:
      self.flush()

  def flush(self) -> None:
    """Waits for the batch before, and starts to write what has gathered."""
    self._wait()
    pending, transaction = self._pending, self.transaction
    self.transaction, self._pending, self._size = self.ts.Transaction(), [], 0
    try:
      for one in pending:
        one.result()
      commit = transaction.commit_async()
    except (ValueError, RuntimeError) as error:
      raise not_written(error) from error

    def wait() -> None:
      try:
        commit.result()
      except (ValueError, RuntimeError) as error:
        raise not_written(error) from error
      give_back()

    self._last = wait

  def close(self) -> None:
    """Returns when everything is on disk."""
    self.flush()
    self._wait()

  def _wait(self) -> None:
    last, self._last = self._last, lambda: None
    last()


def _write_chunks(opened: Any, array: np.ndarray, chunk: Sequence[int]) -> None:
  """Writes chunk after chunk, one being encoded and written while the next one starts."""
  before: Any = None
  for index in np.ndindex(*(-(-n // c) for n, c in zip(array.shape, chunk, strict=True))):
    place = tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, chunk, strict=True))
    started = opened[tuple(slice(s.start, min(s.stop, n)) for s, n in zip(place, array.shape, strict=True))]
    started = started.write(array[place])
    if before is not None:
      before.result()
    before = started
  if before is not None:
    before.result()


def chunks_of(shape: Sequence[int], itemsize: int) -> list[int]:
  """Whole arrays, but large ones cut along their first axes: chunks are encoded side by side."""
  chunk = [max(n, 1) for n in shape]
  for axis, length in enumerate(chunk):
    size = math.prod(chunk) * itemsize
    if size <= _CHUNK:
      break
    parts = min(length, -(-size // _CHUNK))
    chunk[axis] = -(-length // parts)
  return chunk


def not_written(error: Exception) -> OSError:
  """What TensorStore says of a write that failed, as the system's error."""
  said = str(error)
  full = any(text in said for text in ("No space", "RESOURCE_EXHAUSTED", "Disk quota"))
  return OSError(28, "No space left on device") if full else OSError(5, said.split(" [")[0][:200])
