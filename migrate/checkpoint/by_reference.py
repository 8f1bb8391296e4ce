"""Renames the leaves of an Orbax OCDBT checkpoint without reading them.

An OCDBT store keeps values in write-once data files and names in a tree. The data files are hard-linked, or copied as
files, the names copied by reference (TensorStore `experimental_copy_range_to`) and the old ones deleted; leaves that
changed are written beside them. The metadata files of Orbax are those that it wrote for the source, under the new names.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from migrate.checkpoint.array_writer import ArrayWriter, not_written
from migrate.checkpoint.orbax import MANIFEST, read_metadata
from migrate.checkpoint.orbax_metadata import dotted, write_metadata
from migrate.checkpoint.processes import Elsewhere, merge_shares
from migrate.checkpoint.references import Reference
from migrate.checkpoint.remote import Place
from migrate.checkpoint.stored import KeyData, Stored, damaged, ordered
from migrate.core.paths import Path
from migrate.core.report import refuse

MANIFEST_OF_OURS = "linen2nnx.json"


def is_ocdbt(stored: Stored) -> bool:
  """Whether the source keeps all arrays in one OCDBT store."""
  return stored.format == "orbax" and (stored.place / MANIFEST).is_file()


def why_not(stored: Stored, target: Place) -> str:
  """Why leaves cannot be taken by reference; empty where they can."""
  if not is_ocdbt(stored):
    return "the source is not an OCDBT store"
  if not isinstance(target, FilePath) or not isinstance(stored.place, FilePath):
    return "an object store does not link"
  parent = next(p for p in target.parents if p.exists())
  if os.stat(parent).st_dev != os.stat(stored.place).st_dev:
    return "source and destination are on different file systems"
  return ""


def link_tree(
  stored: Stored,
  folder: FilePath,
  leaves: Iterable[tuple[Path, Any]],
  copy: bool = False,
  others: Callable[[], Sequence[Place]] = tuple,
) -> None:
  """Makes the checkpoint of `(path, Reference, array, number or None)` with the source's data files.

  Args:
    stored: the source, an OCDBT checkpoint.
    folder: what to make, on the same file system where `copy` is not given.
    leaves: taken one by one; their first segments must not be those of the source's paths.
    copy: copy the data files instead of linking them.
    others: waits for other processes, and tells where their arrays are.

  Raises:
    OSError: where the file system does not link.
    MigrateError: where the source is damaged.
  """
  import tensorstore as ts

  source = stored.place
  _take_files(source, folder, copy)
  metadata = read_metadata(source)
  writer = ArrayWriter(folder, zarr3=bool(metadata.get("use_zarr3")))
  old = {str(entry["key_metadata"][0]["key"]) for entry in metadata["tree_metadata"].values()}
  made: dict[Path, Any] = {}
  try:
    _write_new(writer, leaves, made, old, source)
    merge_shares(writer, others())
    store = ts.KvStore.open(writer.base, context=writer.context).result()
    _write_joined(ts, store, made)
    with ts.Transaction() as transaction:
      within = store.with_transaction(transaction)
      copies: list[Any] = []
      for path, leaf in made.items():
        if isinstance(leaf, Reference):
          copies += _rename(ts, store, within, dotted(path), leaf)
      for started in copies:
        started.result()
    for top in old:
      for sign in (".", "/"):
        store.delete_range(_prefix(ts, f"{top}{sign}".encode())).result()
  except (ValueError, RuntimeError) as error:
    failed = not_written(error)
    if failed.errno == errno.ENOSPC:
      raise failed from error
    raise damaged(source, f"its leaves cannot be renamed: {error!s:.200}") from error
  write_metadata(folder, metadata, ordered(made))


def _rename(ts: Any, store: Any, within: Any, name: str, leaf: Reference) -> list[Any]:
  """Starts to give a stored leaf its new name, chunk by chunk where it is made of some."""
  if leaf.name:
    return [(store / f"{leaf.name}/").experimental_copy_range_to(within / f"{name}/")]
  alone = ts.KvStore.KeyRange(b"", b"\0")
  return [(store / old).experimental_copy_range_to(within / f"{name}/{new}", alone) for old, new in leaf.chunks()]


def _write_joined(ts: Any, store: Any, made: Mapping[Path, Any]) -> None:
  """The metadata of arrays made of chunks; not in one transaction with copies, which TensorStore then leaves empty."""
  with ts.Transaction() as transaction:
    within = store.with_transaction(transaction)
    for path, leaf in made.items():
      if isinstance(leaf, Reference) and not leaf.name:
        within.write(f"{dotted(path)}/.zarray", json.dumps(leaf.metadata())).result()


def _prefix(ts: Any, prefix: bytes) -> Any:
  return ts.KvStore.KeyRange(prefix, prefix[:-1] + bytes([prefix[-1] + 1]))


def _take_files(source: FilePath, folder: FilePath, copy: bool) -> None:
  """Links or copies data files, which are never written again; all others are small and copied."""
  data: list[tuple[str, str]] = []

  def take(one: str, other: str) -> None:
    if FilePath(one).parent.name == "d":
      data.append((one, other))
    else:
      shutil.copyfile(one, other)

  ignored = shutil.ignore_patterns(MANIFEST_OF_OURS)
  shutil.copytree(source, folder, copy_function=take, ignore=ignored, dirs_exist_ok=True)
  if copy:
    with ThreadPoolExecutor(4) as threads:
      for _ in threads.map(_copy_synced, *zip(*data, strict=True)):
        pass
  else:
    for one, other in data:
      os.link(one, other)


def _copy_synced(source: str, target: str) -> None:
  shutil.copyfile(source, target)  # within the kernel, where it can
  with open(target, "rb+") as file:
    os.fsync(file.fileno())


def _write_new(
  writer: ArrayWriter, leaves: Iterable[tuple[Path, Any]], made: dict[Path, Any], old: set[str], source: FilePath
) -> None:
  """Writes the arrays among the leaves; `made` gets every leaf, arrays as their dtype."""
  for path, one in leaves:
    leaf = one.leaf if isinstance(one, Elsewhere) else one
    if str(path[0]) in old:
      raise refuse(
        str(source), f"{path[0]} is a name on both sides", "other names at the top", "convert with copy=True"
      )
    number = isinstance(leaf, bool | int | float)
    kept = leaf is None or number or isinstance(leaf, Reference | KeyData)
    made[path] = leaf if kept else getattr(leaf, "dtype", leaf)
    if leaf is not None and not isinstance(one, Reference | Elsewhere):
      writer.add(dotted(path), np.asarray(leaf))
  writer.close()
