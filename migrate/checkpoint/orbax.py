"""Orbax checkpoints: leaves by path from metadata alone (without importing Orbax), trees written by Orbax itself.

What one save may be: a folder with `_METADATA` (StandardCheckpointer, PyTreeCheckpointer), a CheckpointManager step
(`default` or one named item inside), or a CheckpointManager root (the latest step is taken).
"""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from migrate.checkpoint.plausible import check_plausible, odd_sizes
from migrate.checkpoint.references import may_be_cut, sound
from migrate.checkpoint.remote import Place, kvstore, place_of
from migrate.checkpoint.stored import Stored, StoredLeaf, checked_shape, damaged
from migrate.core.ops import numpy_dtype
from migrate.core.paths import Path, show
from migrate.core.report import refuse

METADATA, MANIFEST = "_METADATA", "manifest.ocdbt"
_EMPTY = {"None", "Dict", "List", "Tuple", "NamedTuple"}


def find_folder(path: str | Place, item: str | None = None) -> tuple[Place, int | None]:
  """The folder that holds the tree, and the step where the path is of a CheckpointManager.

  Raises:
    MigrateError: where there is none, or several and `item` does not name one.
  """
  root = place_of(path)
  if not root.is_dir():
    raise refuse(str(path), "no such folder", "an Orbax checkpoint", "give the folder that holds it")
  if _is_tree(root):
    step = root.name if root.name.isdecimal() else root.parent.name
    return root, int(step) if step.isdecimal() else None
  folders: list[Any] = [p for p in root.iterdir() if p.is_dir()]
  steps = sorted((p for p in folders if _step(p) is not None), key=lambda p: _step(p) or 0)
  if steps and not any(_is_tree(p) for p in folders if p not in steps):
    folder, _ = find_folder(steps[-1], item)
    return folder, _step(steps[-1])
  items = sorted(p for p in folders if _is_tree(p))
  if item is not None:
    items = [p for p in items if p.name == item]
  elif len(items) > 1 and any(p.name in ("default", "state") for p in items):
    items = [p for p in items if p.name in ("default", "state")][:1]
  if len(items) != 1:
    found = f"items {', '.join(p.name for p in items)}" if items else f"no {METADATA} in it or below"
    do = "give the folder that Orbax wrote; a checkpoint that was cut off has no metadata"
    raise refuse(str(path), found, "one tree of arrays", "name one with --item" if items else do)
  return items[0], _step(root)


def _is_tree(folder: Place) -> bool:
  return (folder / METADATA).is_file()


def _step(folder: Place) -> int | None:
  number = folder.name.rpartition("_")[2]
  return int(number) if number.isascii() and number.isdecimal() else None


def open_tree(path: str | Place, item: str | None = None) -> Stored:
  """The tree of a checkpoint. Only metadata is read.

  Raises:
    MigrateError: where it is no checkpoint, or a damaged one.
  """
  folder, step = find_folder(path, item)
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
    leaves[one] = StoredLeaf(shape, dtype, _Load(store, name, shape, dtype), name, layout)
  for name in odd_sizes({leaf.name: leaf.nbytes for leaf in leaves.values()}, folder):
    store.open(name)  # what is only renamed is never read: what cannot be is refused here
  empty = tuple(p for p, kind in kinds if p not in leaves)
  numbers = frozenset(p for p, kind in kinds if kind == "scalar")
  note = f"{'OCDBT' if store.ocdbt else 'a folder an array'}, {store.driver}"
  typed = _typed_keys(folder)
  keys = {p: typed[leaf.name] for p, leaf in leaves.items() if leaf.name in typed}
  return Stored("orbax", folder, leaves, empty, step, numbers, note, keys)


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
