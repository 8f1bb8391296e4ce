"""Whether a stored array can be as large as its metadata says: asked before memory is taken for it.

Metadata that was damaged or edited may promise terabytes, or more chunks than could be looked for in a day. What is
stored tells: compression has its limits, and chunks that hold anything are there.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from migrate.checkpoint.remote import Place, RemotePath
from migrate.checkpoint.stored import damaged
from migrate.core.report import refuse

_SMALL = 16 << 20
_MANY = 4096
_USUAL, _MOST = 100, 40_000  # how much smaller stored data is: weights at most, and zeros


def check_plausible(
  where: str,
  shape: Sequence[int],
  chunk: Sequence[int],
  itemsize: int,
  folder: Place,
  stored: Callable[[], Sequence[int]],
) -> None:
  """Refuses an array that cannot be what its metadata says, or that does not fit this machine.

  Args:
    where: names it.
    shape: of the array.
    chunk: shape of one chunk as it is stored.
    itemsize: bytes of an element.
    folder: what holds the whole checkpoint; its size is the least that is asked for.
    stored: gives the sizes of the array's stored chunks; called only where the rest is odd.

  Raises:
    MigrateError: with the size that was found.
  """
  size = max(math.prod(shape), math.prod(chunk)) * itemsize
  check_memory(where, size)
  count = math.prod(-(-n // max(c, 1)) for n, c in zip(shape, chunk, strict=True))
  odd = size > _SMALL and size > _USUAL * folder_size(folder)
  if not odd and count <= _MANY:
    return
  sizes = stored()
  if len(sizes) < count / (1 if odd else 64):
    raise damaged(where, f"its metadata tells of {count} chunks, and {len(sizes)} are there", "all of its chunks")
  if odd and size > _MOST * sum(sizes):
    raise damaged(where, f"{size} bytes by its metadata, {sum(sizes)} stored", "as much as its metadata says")


def odd_sizes(sizes: Mapping[str, int], folder: Place) -> list[str]:
  """The names of arrays that are larger than what a folder of this size usually holds."""
  large = {name: size for name, size in sizes.items() if size > _SMALL}
  most = _USUAL * folder_size(folder) if large else 0
  return [name for name, size in large.items() if size > most]


def check_memory(where: Any, size: int) -> None:
  """Refuses what is larger than the memory of this machine."""
  if size > memory():
    found = f"needs {size / 1e9:.1f} GB, and this machine has {memory() / 1e9:.1f} GB"
    raise refuse(str(where), found, "an array that fits", "the checkpoint may be damaged; else use a larger machine")


def memory() -> int:
  """The memory of this machine in bytes."""
  try:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
  except (AttributeError, ValueError, OSError):
    return 1 << 40


def folder_size(folder: Place) -> int:
  """Bytes of all files below a folder; of an object store, more than any checkpoint has."""
  if isinstance(folder, RemotePath):
    return 1 << 62
  return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
