"""Renames the leaves of an Orbax OCDBT checkpoint without reading them.

An OCDBT store keeps values in write-once data files and names in a tree. The data files are hard-linked, the names
copied by reference (TensorStore `experimental_copy_range_to`) and the old ones deleted; leaves that changed are
written beside them. The metadata files of Orbax are those that it wrote for the source, under the new names.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from migrate.checkpoint.orbax import MANIFEST, METADATA, read_metadata
from migrate.checkpoint.stored import Stored, damaged, ordered
from migrate.core.paths import Path
from migrate.core.report import refuse

_BATCH = 64 << 20


@dataclasses.dataclass(frozen=True)
class Reference:
  """A leaf of the source that the destination has under another name.

  Attributes:
    origin: its path in the source, for people.
    name: how the store calls it.
    shape: its shape.
    dtype: its NumPy dtype.
  """

  origin: str
  name: str
  shape: tuple[int, ...]
  dtype: Any

  def read(self) -> Reference:
    """Itself: the data stays where it is."""
    return self


def why_not(stored: Stored, target: FilePath) -> str:
  """Why leaves cannot be taken by reference; empty where they can."""
  if stored.format != "orbax" or not (stored.place / MANIFEST).is_file():
    return "the source is not an OCDBT store"
  parent = next(p for p in target.parents if p.exists())
  if os.stat(parent).st_dev != os.stat(stored.place).st_dev:
    return "source and destination are on different file systems"
  return ""


def link_tree(stored: Stored, folder: FilePath, leaves: Iterable[tuple[Path, Any]]) -> None:
  """Makes the checkpoint of `(path, Reference, array, number or None)` with the source's data files.

  Args:
    stored: the source, an OCDBT checkpoint.
    folder: what to make, on the same file system.
    leaves: taken one by one; their first segments must not be those of the source's paths.

  Raises:
    OSError: where the file system does not link.
    MigrateError: where the source is damaged.
  """
  import tensorstore as ts

  source = stored.place
  shutil.copytree(source, folder, copy_function=_link_or_copy, ignore=shutil.ignore_patterns("linen2nnx.json"))
  metadata = read_metadata(source)
  driver = "zarr3" if metadata.get("use_zarr3") else "zarr"
  base = {"driver": "ocdbt", "base": f"file://{folder}/"}
  context = ts.Context({"cache_pool": {"total_bytes_limit": 0}})
  old = {str(p[0]) for p in (*stored.leaves, *stored.empty)}
  made: dict[Path, Any] = {}
  try:
    for batch in _batches(leaves, made, old, source):
      _write_arrays(batch, driver, base, context)
    store = ts.KvStore.open(base, context=context).result()
    with ts.Transaction() as transaction:
      within = store.with_transaction(transaction)
      copies = [
        (store / f"{leaf.name}/").experimental_copy_range_to(within / f"{_name(path)}/")
        for path, leaf in made.items()
        if isinstance(leaf, Reference)
      ]
      for copy in copies:
        copy.result()
    for top in old:
      for sign in (".", "/"):
        store.delete_range(_prefix(ts, f"{top}{sign}".encode())).result()
  except (ValueError, RuntimeError) as error:
    if "No space" in str(error) or "RESOURCE_EXHAUSTED" in str(error):
      raise OSError(28, "No space left on device") from error
    raise damaged(source, f"its leaves cannot be renamed: {error!s:.200}") from error
  _write_metadata(folder, metadata, ordered(made))


def _name(path: Path) -> str:
  return ".".join(map(str, path))


def _prefix(ts: Any, prefix: bytes) -> Any:
  return ts.KvStore.KeyRange(prefix, prefix[:-1] + bytes([prefix[-1] + 1]))


def _link_or_copy(source: str, target: str) -> None:
  """Data files are linked, they are never written again; all others are small and copied."""
  if FilePath(source).parent.name == "d":
    os.link(source, target)
  else:
    shutil.copy2(source, target)


def _batches(
  leaves: Iterable[tuple[Path, Any]], made: dict[Path, Any], old: set[str], source: FilePath
) -> Iterator[list[tuple[Path, np.ndarray]]]:
  """The arrays to write, some megabytes at a time; `made` gets every leaf, arrays as their dtype."""
  batch: list[tuple[Path, np.ndarray]] = []
  size = 0
  for path, leaf in leaves:
    if str(path[0]) in old:
      raise refuse(
        str(source), f"{path[0]} is a name on both sides", "other names at the top", "convert with copy=True"
      )
    number = isinstance(leaf, bool | int | float)
    made[path] = leaf if leaf is None or number or isinstance(leaf, Reference) else leaf.dtype
    if leaf is None or isinstance(leaf, Reference):
      continue
    array = np.asarray(leaf)
    batch.append((path, array))
    size += array.nbytes
    if size > _BATCH:
      yield batch
      batch, size = [], 0
  if batch:
    yield batch


def _write_arrays(batch: list[tuple[Path, np.ndarray]], driver: str, base: Mapping[str, Any], context: Any) -> None:
  import tensorstore as ts

  with ts.Transaction() as transaction:
    opened = []
    for path, array in batch:
      spec = {"driver": driver, "kvstore": {**base, "path": f"{_name(path)}/"}, "store_data_equal_to_fill_value": True}
      options = {
        "dtype": array.dtype,
        "shape": array.shape,
        "chunk_layout": ts.ChunkLayout(chunk_shape=[max(n, 1) for n in array.shape]),
      }
      opened.append(ts.open(spec, create=True, open=True, context=context, transaction=transaction, **options))
    writes = [o.result().write(array) for o, (_, array) in zip(opened, batch, strict=True)]
    for write in writes:
      write.result()


def _write_metadata(folder: FilePath, metadata: dict[str, Any], leaves: Mapping[Path, Any]) -> None:
  """Orbax's own metadata under the new names."""
  values = {
    _name(tuple(k["key"] for k in e["key_metadata"])): e["value_metadata"] for e in metadata["tree_metadata"].values()
  }
  entries: dict[str, Any] = {}
  for path, leaf in leaves.items():
    if isinstance(leaf, Reference):
      value = values[leaf.name]
    elif leaf is None:
      value = {"value_type": "None", "skip_deserialize": True}
    else:
      kind = "scalar" if isinstance(leaf, bool | int | float) else "np.ndarray"
      value = {"value_type": kind, "skip_deserialize": False}
    keys = [{"key": str(s), "key_type": 1 if type(s) is int else 2} for s in path]
    entries[str(tuple(map(str, path)))] = {"key_metadata": keys, "value_metadata": value}
  (folder / METADATA).write_text(json.dumps({**metadata, "tree_metadata": entries}), encoding="utf-8")
  names: dict[str, list[str]] = {}
  for path, leaf in leaves.items():
    if isinstance(leaf, Reference):
      names.setdefault(leaf.name, []).append(_name(path))
  sharding = folder / "_sharding"
  if sharding.is_file():
    known = {base64.b64decode(k).decode(): v for k, v in json.loads(sharding.read_bytes()).items()}
    _replace(sharding, {base64.b64encode(n.encode()).decode(): v for k, v in known.items() for n in names.get(k, ())})
  for file in (folder / "array_metadatas").glob("*") if (folder / "array_metadatas").is_dir() else ():
    known = [e["array_metadata"] for e in json.loads(file.read_bytes())["array_metadatas"]]
    kept = [{**e, "param_name": n} for e in known for n in names.get(e["param_name"], ())]
    _replace(file, {"array_metadatas": [{"array_metadata": e} for e in kept]})


def _replace(file: FilePath, data: Any) -> None:
  file.write_text(json.dumps(data), encoding="utf-8")


__all__ = ["Reference", "link_tree", "why_not"]
