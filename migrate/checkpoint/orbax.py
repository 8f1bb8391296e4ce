"""Orbax checkpoints: leaves by path from metadata alone (without importing Orbax), trees written by Orbax itself.

What one save may be, `orbax_folder` tells.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from migrate.checkpoint.orbax_folder import AGGREGATE, METADATA, find_folder, find_parts, step_of
from migrate.checkpoint.plausible import check_plausible, odd_sizes
from migrate.checkpoint.references import may_be_cut, sound
from migrate.checkpoint.remote import Place, kvstore
from migrate.checkpoint.stored import Stored, StoredLeaf, checked_shape, damaged
from migrate.core.ops import numpy_dtype
from migrate.core.paths import Path, show
from migrate.core.report import refuse

MANIFEST = "manifest.ocdbt"
_EMPTY = {"None", "Dict", "List", "Tuple", "NamedTuple"}


def open_tree(path: str | Place, item: str | None = None) -> Stored:
  """The tree of a checkpoint. Only metadata is read.

  Raises:
    MigrateError: where it is no checkpoint, or a damaged one.
  """
  parts = find_parts(path) if item is None else []
  if parts:
    return _joined(parts)
  folder, step = find_folder(path, item)
  if not (folder / METADATA).is_file():
    return dataclasses.replace(_open_aggregate(folder), step=step)
  metadata = read_metadata(folder)
  store = Store(folder, bool(metadata.get("use_zarr3")))
  kinds = list(_entries(folder, metadata))
  names = [".".join(map(str, p)) for p, kind in kinds if kind not in _EMPTY]
  infos = dict(zip(names, store.infos(names), strict=True))
  leaves: dict[Path, StoredLeaf] = {}
  for one, kind in kinds:
    if kind in _EMPTY:
      continue
    if kind == "string":
      raise refuse(f"{folder}: {show(one)}", "a string", "arrays and numbers", "save the checkpoint without it")
    name = ".".join(map(str, one))
    shape, dtype, layout = infos[name]
    load = _Load(store, name, shape, dtype)
    leaves[one] = StoredLeaf(shape, dtype, load, name, layout, load.part)
  for name in odd_sizes({leaf.name: leaf.nbytes for leaf in leaves.values()}, folder):
    store.open(name)  # what is only renamed is never read: what cannot be is refused here
  empty = tuple(p for p, kind in kinds if p not in leaves)
  numbers = frozenset(p for p, kind in kinds if kind == "scalar")
  note = f"{'OCDBT' if store.ocdbt else 'a folder an array'}, {store.driver}"
  typed = _typed_keys(folder)
  keys = {p: typed[leaf.name] for p, leaf in leaves.items() if leaf.name in typed}
  return Stored("orbax", folder, leaves, empty, step, numbers, note, keys)


def _joined(parts: Sequence[Place]) -> Stored:
  """The items of one step as one tree, each below its name, which it may have at its own top already."""
  leaves: dict[Path, StoredLeaf] = {}
  empty: list[Path] = []
  numbers: list[Path] = []
  keys: dict[Path, str] = {}
  for part in parts:
    one = open_tree(part)
    own = all(p[0] == part.name for p in one.leaves)

    def named(path: Path, own: bool = own, name: str = part.name) -> Path:
      return path if own else (name, *path)

    leaves |= {named(p): dataclasses.replace(leaf, layout=None) for p, leaf in one.leaves.items()}
    empty += map(named, one.empty)
    numbers += map(named, one.numbers)
    keys |= {named(p): kind for p, kind in one.keys.items()}
  step, note = step_of(parts[0].parent), f"Orbax, items {', '.join(p.name for p in parts)}"
  return Stored("composite", parts[0].parent, leaves, tuple(empty), step, frozenset(numbers), note, keys)


def _open_aggregate(folder: Place) -> Stored:
  """The tree of a checkpoint from before `_METADATA`: a msgpack file that names the arrays beside it."""
  from migrate.checkpoint.msgpack import open_msgpack

  if not isinstance(folder, FilePath):
    do = "copy it to a local disk with the store's own tool, and give its path"
    raise refuse(str(folder), f"a checkpoint without {METADATA} in an object store", "one with it", do)
  found: list[Store] = []

  def beside(name: str) -> StoredLeaf:
    store = found[0] if found else Store(folder, False)
    (shape, dtype, _), *_ = store.infos([name])
    found.append(store)
    return StoredLeaf(shape, dtype, _Load(store, name, shape, dtype), name)

  stored = open_msgpack(folder / AGGREGATE, beside)
  for leaf in stored.leaves.values():
    if isinstance(leaf.load, _Load) and odd_sizes({leaf.name: leaf.nbytes}, folder):
      found[0].open(leaf.name)
  note = f"Orbax from before {METADATA}, {len(found)} arrays beside it" if found else stored.note
  return dataclasses.replace(stored, place=folder if found else stored.place, note=note)


def _typed_keys(folder: Place) -> dict[str, str]:
  """Names of the arrays that are typed PRNG keys, with their algorithms."""
  found: dict[str, str] = {}
  place = folder / "array_metadatas"
  for file in sorted((p for p in place.iterdir() if p.name.startswith("process_")), key=str) if place.is_dir() else ():
    try:
      for entry in json.loads(file.read_bytes())["array_metadatas"]:
        one = entry["array_metadata"]
        if one.get("ext_metadata"):
          found[str(one["param_name"])] = str(one["ext_metadata"]["random_key_impl"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
      raise damaged(folder, f"{file.name} of array_metadatas cannot be read: {error!s:.120}") from error
  return found


def read_metadata(folder: Place) -> dict[str, Any]:
  """The tree metadata of a checkpoint folder."""
  try:
    data = json.loads((folder / METADATA).read_bytes())
  except (OSError, ValueError, RecursionError) as error:
    raise damaged(folder, f"{METADATA} cannot be read: {error!s:.120}") from error
  if not isinstance(data, dict) or not isinstance(data.get("tree_metadata"), dict):
    raise damaged(folder, f"{METADATA} has no tree_metadata")
  return data


def _entries(folder: Place, metadata: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
  """(path, value type) of every entry; positions of a sequence as integers."""
  for entry in metadata["tree_metadata"].values():
    try:
      keys = [(k["key"], k["key_type"]) for k in entry["key_metadata"]]
      kind = entry["value_metadata"]["value_type"]
      path = tuple(int(k) if t == 1 else k for k, t in keys)
    except (KeyError, TypeError, ValueError) as error:
      raise damaged(folder, f"{METADATA}: {entry!r:.120}") from error
    if not path or not all(isinstance(k, str) and t in (1, 2) for k, t in keys) or not isinstance(kind, str):
      raise damaged(folder, f"{METADATA}: {entry!r:.120}")
    yield path, kind


def store_spec(folder: Place) -> dict[str, Any]:
  """The arrays of a checkpoint folder, as a key-value store of TensorStore."""
  base = kvstore(folder)
  return {"driver": "ocdbt", "base": base} if (folder / MANIFEST).is_file() else base


class Store:
  """The arrays of one checkpoint folder, through TensorStore."""

  def __init__(self, folder: Place, zarr3: bool):
    import tensorstore as ts

    self.folder = folder
    self.ocdbt = (folder / MANIFEST).is_file()
    self.driver = "zarr3" if zarr3 else "zarr"
    self.context = ts.Context({"cache_pool": {"total_bytes_limit": 0}})
    self._kvstore = store_spec(folder)
    try:
      self._open = ts.KvStore.open(self._kvstore, context=self.context).result()
    except ValueError as error:
      raise damaged(folder, _plain(error)) from error

  def infos(self, names: list[str]) -> list[tuple[tuple[int, ...], Any, dict[str, Any] | None]]:
    """Shape and dtype of each array, and its metadata where its chunks can be taken as they are."""
    for name in names:
      if not self.ocdbt and (".." in name.split("/") or name.startswith("/") or "\0" in name):
        raise damaged(self.folder, f"an array named {name!r:.80}", "a name inside the folder")
    key = "zarr.json" if self.driver == "zarr3" else ".zarray"
    try:
      reads = [self._open.read(f"{name}/{key}") for name in names]
      return [self._info(name, r.result()) for name, r in zip(names, reads, strict=True)]
    except (ValueError, OSError) as error:
      raise damaged(self.folder, _plain(error)) from error

  def _info(self, name: str, found: Any) -> tuple[tuple[int, ...], Any, dict[str, Any] | None]:
    where = f"{self.folder}: {name}"
    if found.state != "value":
      raise damaged(where, "the metadata names it, and there is no such array", "every array of the metadata")
    try:
      data = json.loads(found.value)
      text = str(data["data_type"] if self.driver == "zarr3" else data["dtype"])
      shape = data["shape"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
      raise damaged(where, f"its metadata cannot be read: {error!s:.120}") from error
    dtype = numpy_dtype({"bool": "bool"}.get(text, text))
    if dtype.kind not in "biufcV" or dtype.hasobject:
      raise damaged(where, f"dtype {text!r:.40}", "numbers")
    shape = checked_shape(where, shape)
    if self.driver == "zarr" and not sound(data):
      raise damaged(where, f"its metadata is {found.value.decode(errors='replace')[:200]}", "zarr metadata, version 2")
    return shape, dtype, data if may_be_cut(data) else None

  def open(self, name: str) -> Any:
    """The array of that name, not read. Raises MigrateError where it cannot be what its metadata says."""
    import tensorstore as ts

    spec = {"driver": self.driver, "kvstore": {**self._kvstore, "path": self._kvstore.get("path", "") + f"{name}/"}}
    with self._named(name):
      array = ts.open(spec, open=True, read=True, context=self.context).result()
      self._check_size(name, array)
      return array

  def read(self, name: str) -> np.ndarray:
    """The array of that name."""
    with self._named(name):
      return np.asarray(self.open(name).read().result())

  @contextlib.contextmanager
  def _named(self, name: str) -> Iterator[None]:
    try:
      yield
    except (ValueError, OSError, RuntimeError) as error:
      where = f"{self.folder}: {name}"
      raise damaged(where, f"cannot be read: {_plain(error)}", "the array of the metadata") from error

  def _check_size(self, name: str, array: Any) -> None:
    import tensorstore as ts

    def stored() -> list[int]:
      prefix = f"{name}/".encode()
      keys = self._open.list(ts.KvStore.KeyRange(prefix, prefix[:-1] + b"0")).result()
      parts = [k for k in keys if not k.endswith((b"/.zarray", b"/zarr.json", b"/.zattrs"))]
      if len(parts) > 1 << 16:
        return [1 << 30] * len(parts)  # so many cannot be a trick in a small folder
      return [len(self._open.read(k).result().value) for k in parts]

    chunk = array.chunk_layout.write_chunk.shape or array.shape
    itemsize = array.dtype.numpy_dtype.itemsize
    check_plausible(f"{self.folder}: {name}", array.shape, chunk, itemsize, self.folder, stored)


class _Load:
  def __init__(self, store: Store, name: str, shape: tuple[int, ...], dtype: Any):
    self.store, self.name, self.shape, self.dtype = store, name, shape, dtype

  def part(self, index: tuple[slice, ...]) -> np.ndarray:
    with self.store._named(self.name):
      return np.asarray(self.store.open(self.name)[index].read().result())

  def __call__(self) -> np.ndarray:
    array = self.store.read(self.name)
    if array.shape != self.shape or array.dtype != self.dtype:
      raise damaged(f"{self.store.folder}: {self.name}", f"{array.dtype}{array.shape}", f"{self.dtype}{self.shape}")
    return array


def _plain(error: Exception) -> str:
  return str(error).split(" [")[0].replace("\n", " ")[:300]


def write_orbax(folder: FilePath, tree: Any) -> None:
  """Writes a tree with StandardCheckpointer where nothing is yet; returns when all of it is on disk."""
  import orbax.checkpoint as ocp
  from etils import epath

  with warnings.catch_warnings(), _quiet():
    warnings.simplefilter("ignore")
    try:
      with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(epath.Path(folder), tree)
        checkpointer.wait_until_finished()
    except (ValueError, RuntimeError) as error:
      if "No space" in str(error) or "RESOURCE" in str(error):
        raise OSError(28, "No space left on device") from error
      raise


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Holds back absl's chatter at warning level."""
  logger = logging.getLogger("absl")
  level = logger.level
  logger.setLevel(logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(level)
