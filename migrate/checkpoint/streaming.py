"""Writes an Orbax checkpoint leaf by leaf, in bounded memory.

The arrays go straight into an OCDBT store, some megabytes at a time; leaves that are only renamed are copied as they
are stored, without decoding. The metadata is that of the source under the new names where Orbax wrote the source; else
Orbax writes it, from a tree of the same structure and dtypes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from migrate.checkpoint.array_writer import ArrayWriter
from migrate.checkpoint.orbax import MANIFEST, read_metadata, store_spec, write_orbax
from migrate.checkpoint.orbax_folder import METADATA
from migrate.checkpoint.orbax_metadata import dotted, note_keys, write_metadata
from migrate.checkpoint.processes import Elsewhere, merge_shares
from migrate.checkpoint.references import Reference
from migrate.checkpoint.remote import COMMITTED, Place
from migrate.checkpoint.stored import KeyData, Stored, damaged, listed, ordered
from migrate.core.paths import Path

_KEPT = (bool, int, float, Reference, KeyData)


def may_copy(stored: Stored) -> bool:
  """Whether stored chunks can be copied as they are: an Orbax source of the same array format."""
  return stored.format == "orbax" and not read_metadata(stored.place).get("use_zarr3")


def stream_tree(
  folder: FilePath,
  leaves: Iterable[tuple[Path, Any]],
  stored: Stored,
  arrays_in: Place | None = None,
  others: Callable[[], Sequence[Place]] = tuple,
) -> None:
  """Makes the checkpoint of `(path, Reference, array, number or None)`.

  Args:
    folder: what to make.
    leaves: taken one by one.
    stored: the source.
    arrays_in: where the arrays go, if not into the folder: it then gets the metadata alone.
    others: waits for other processes, and tells where their arrays are.

  Raises:
    MigrateError: where the source is damaged.
    OSError: where the destination cannot be written.
  """
  folder.mkdir(exist_ok=True)
  writer = _Writer(arrays_in or folder, stored)
  made: dict[Path, Any] = {}
  for path, one in leaves:
    leaf = one.leaf if isinstance(one, Elsewhere) else one
    made[path] = leaf if leaf is None or isinstance(leaf, _KEPT) else getattr(leaf, "dtype", leaf)
    if isinstance(one, Elsewhere):
      continue
    if isinstance(leaf, Reference):
      writer.copy(dotted(path), leaf)
    elif leaf is not None:
      writer.add(dotted(path), np.asarray(leaf))
  writer.close()
  merge_shares(writer, others())
  if stored.format == "orbax":
    _take_metadata(folder, stored.place, made)
  else:
    kept = (type(None), bool, int, float)
    arrays = {p: v if isinstance(v, kept) else np.zeros((), getattr(v, "dtype", v)) for p, v in made.items()}
    _add_metadata(folder, arrays)
    note_keys(folder, {p: v for p, v in made.items() if isinstance(v, KeyData)})


def stream_share(place: Place, leaves: Iterable[tuple[Path, Any]], stored: Stored) -> None:
  """Writes the arrays that this process has of a checkpoint that the first process makes."""
  writer = _Writer(place, stored)
  for path, leaf in leaves:
    if isinstance(leaf, Reference):
      writer.copy(dotted(path), leaf)
    else:
      writer.add(dotted(path), np.asarray(leaf))
  writer.close()


class _Writer(ArrayWriter):
  """Also copies what is stored in the source."""

  def __init__(self, folder: Place, stored: Stored):
    super().__init__(folder)
    self.stored = stored
    self.store = self.ts.KvStore.open(self.base, context=self.context).result()
    self.source: Any = None

  def copy(self, name: str, leaf: Reference) -> None:
    """Copies the stored chunks, without decoding them."""
    if self.source is None:
      self.source = self.ts.KvStore.open(store_spec(self.stored.place), context=self.context).result()
    within = self.store.with_transaction(self.transaction)
    try:
      if leaf.name:
        prefix = f"{leaf.name}/".encode()
        keys = self.source.list(self.ts.KvStore.KeyRange(prefix, prefix[:-1] + b"0")).result()
        places = [(k, f"{name}/".encode() + k[len(prefix) :]) for k in keys]
      else:
        places = [(old, f"{name}/{new}") for old, new in leaf.chunks()]
        self.started(within.write(f"{name}/.zarray", json.dumps(leaf.metadata())), 0)
      found = [(self.source.read(old), new) for old, new in places]
      for value, new in found:
        read = value.result()
        if read.state == "value":  # a chunk that is not there holds the fill value
          self.started(within.write(new, read.value), len(read.value))
    except (ValueError, RuntimeError) as error:
      where = f"{self.stored.place}: {', '.join(leaf.origins)}"
      raise damaged(where, f"cannot be read: {error!s:.200}") from error


def _take_metadata(folder: FilePath, source: Place, made: dict[Path, Any]) -> None:
  for name in ("_CHECKPOINT_METADATA", "_sharding", COMMITTED):
    if (source / name).is_file():
      (folder / name).write_bytes((source / name).read_bytes())
  if (source / "array_metadatas").is_dir():
    (folder / "array_metadatas").mkdir()
    for file in (p for p in (source / "array_metadatas").iterdir() if p.is_file()):
      (folder / "array_metadatas" / file.name).write_bytes(file.read_bytes())
  write_metadata(folder, {**read_metadata(source), "use_ocdbt": True, "use_zarr3": False}, ordered(made))


def _add_metadata(folder: FilePath, skeleton: dict[Path, Any]) -> None:
  """Has Orbax write a checkpoint of scalars of the same structure, and takes all but its data."""
  other = folder / "skeleton.linen2nnx-tmp"
  write_orbax(other, listed(skeleton))
  for item in other.iterdir():
    if item.name not in (MANIFEST, "d", "array_metadatas", "_sharding") and not item.name.startswith("ocdbt.process_"):
      item.rename(folder / item.name)
  shutil.rmtree(other)
  if not (folder / METADATA).is_file():
    raise OSError(5, "Orbax wrote no metadata")
