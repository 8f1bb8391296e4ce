"""Orbax checkpoints: leaves read lazily by path, trees written through Orbax's own classes.

What one save may be: a folder with `_METADATA` (StandardCheckpointer, PyTreeCheckpointer), a CheckpointManager step
(`default` or one named item inside), or a CheckpointManager root (the latest step is taken).
"""

from __future__ import annotations

import dataclasses
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from migrate.core.paths import Path, show
from migrate.core.report import refuse
from migrate.core.tree import nest


@dataclasses.dataclass(frozen=True)
class OrbaxLeaf:
  """An array on disk."""

  folder: str
  name: str
  shape: tuple[int, ...]
  dtype: Any
  zarr3: bool
  ocdbt: bool
  store: Any = dataclasses.field(repr=False, compare=False)

  @property
  def nbytes(self) -> int:
    """Its size in memory."""
    return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

  def read(self) -> np.ndarray:
    """The whole array. Raises MigrateError where the data is damaged or missing."""
    import tensorstore as ts

    path = f"{self.name}/"
    kvstore = (
      {"driver": "ocdbt", "base": f"file://{self.folder}/", "path": path}
      if self.ocdbt
      else {"driver": "file", "path": f"{self.folder}/{path}"}
    )
    try:
      spec = {"driver": "zarr3" if self.zarr3 else "zarr", "kvstore": kvstore}
      array = ts.open(spec, open=True, read=True, context=self.store).result()
      if tuple(array.shape) != self.shape:
        raise refuse(
          f"{self.folder}: {self.name}",
          f"the array has shape {tuple(array.shape)}",
          f"{self.shape} as its metadata says",
          "the checkpoint is damaged: use another copy",
        )
      return np.asarray(array.read().result())
    except (ValueError, OSError, RuntimeError) as error:
      text = str(error).split(" [")[0][:300]
      raise refuse(
        f"{self.folder}: {self.name}",
        f"cannot be read: {text}",
        "the array that the metadata names",
        "the checkpoint is damaged: use another copy",
      ) from error


@dataclasses.dataclass(frozen=True)
class OrbaxTree:
  """A checkpoint's tree: lazy leaves by path, and the paths whose entry is empty (None, EmptyState, MaskedNode)."""

  folder: FilePath
  leaves: dict[Path, OrbaxLeaf]
  empty: tuple[Path, ...]
  step: int | None = None


def find_folder(path: str | FilePath, item: str | None = None) -> tuple[FilePath, int | None]:
  """The folder that holds the tree, and the step where the path is of a CheckpointManager.

  Raises:
    MigrateError: where there is none, or several and `item` does not name one.
  """
  root = FilePath(path).absolute()
  if not root.is_dir():
    raise refuse(str(path), "no such folder", "an Orbax checkpoint", "give the folder that holds it")
  if _is_tree(root):
    return root, int(root.name) if root.name.isdecimal() else None
  steps = sorted(
    (p for p in root.iterdir() if p.is_dir() and p.name.rpartition("_")[2].isdecimal() and not p.name.endswith("tmp")),
    key=lambda p: int(p.name.rpartition("_")[2]),
  )
  if steps and not any(_is_tree(p) for p in root.iterdir() if p.is_dir() and p not in steps):
    folder, _ = find_folder(steps[-1], item)
    return folder, int(steps[-1].name.rpartition("_")[2])
  items = sorted(p for p in root.iterdir() if p.is_dir() and _is_tree(p))
  if item is not None:
    items = [p for p in items if p.name == item]
  elif len(items) > 1 and any(p.name in ("default", "state") for p in items):
    items = [p for p in items if p.name in ("default", "state")][:1]
  if len(items) != 1:
    found = f"items {', '.join(p.name for p in items)}" if items else "no _METADATA in it or below"
    raise refuse(
      str(path),
      found,
      "one tree of arrays",
      "give the folder of the item"
      if items
      else "give the folder that Orbax wrote; a checkpoint that was cut off has no metadata",
    )
  return items[0], int(root.name) if root.name.isdecimal() else None


def _is_tree(folder: FilePath) -> bool:
  return (folder / "_METADATA").is_file()


def open_tree(path: str | FilePath, item: str | None = None) -> OrbaxTree:
  """The tree of a checkpoint. Only metadata is read.

  Raises:
    MigrateError: where it is no checkpoint, or a damaged one.
  """
  folder, step = find_folder(path, item)
  import orbax.checkpoint as ocp
  import tensorstore as ts

  try:
    with warnings.catch_warnings(), _quiet():
      warnings.simplefilter("ignore")
      found = ocp.PyTreeCheckpointHandler().metadata(_epath(folder))
    tree, zarr3 = getattr(found, "tree", found), bool(getattr(found, "use_zarr3", False))
  except Exception as error:
    raise refuse(
      str(folder),
      f"its metadata cannot be read: {type(error).__name__}: {error!s:.200}",
      "an Orbax checkpoint",
      "the checkpoint is damaged: use another copy",
    ) from error
  context = ts.Context({"cache_pool": {"total_bytes_limit": 0}})
  ocdbt = (folder / "manifest.ocdbt").is_file()
  leaves: dict[Path, OrbaxLeaf] = {}
  empty: list[Path] = []
  for path_, leaf in _walk(tree, ()):
    if leaf is None:
      empty.append(path_)
      continue
    shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
    if shape is None or dtype is None or str(dtype).startswith(("<U", "str", "object", "key<")):
      raise refuse(
        f"{folder}: {show(path_)}",
        f"{type(leaf).__name__}: {dtype}",
        "an array or a number",
        "save the checkpoint without it",
      )
    leaves[path_] = OrbaxLeaf(str(folder), leaf.name, tuple(shape), dtype, zarr3, ocdbt, context)
  return OrbaxTree(folder, leaves, tuple(empty), step)


def _walk(node: Any, path: Path) -> Any:
  if isinstance(node, Mapping):
    for name, child in node.items():
      yield from _walk(child, (*path, str(name)))
  elif isinstance(node, list | tuple):
    for i, child in enumerate(node):
      yield from _walk(child, (*path, i))
  else:
    yield path, node


def save_tree(folder: FilePath, leaves: Mapping[Path, Any]) -> None:
  """Writes `{path: array or None}` where nothing is yet; returns when all of it is on disk."""
  import orbax.checkpoint as ocp

  tree = nest({tuple(map(str, p)): v for p, v in leaves.items()})
  with warnings.catch_warnings(), _quiet():
    warnings.simplefilter("ignore")
    with ocp.StandardCheckpointer() as checkpointer:
      checkpointer.save(_epath(folder), tree)
      checkpointer.wait_until_finished()


def _epath(folder: FilePath) -> Any:
  from etils import epath

  return epath.Path(folder)


class _quiet:
  """Holds back absl's chatter at warning level."""

  def __enter__(self) -> None:
    self.logger = logging.getLogger("absl")
    self.level = self.logger.level
    self.logger.setLevel(logging.ERROR)

  def __exit__(self, *error: object) -> None:
    self.logger.setLevel(self.level)


__all__ = ["OrbaxLeaf", "OrbaxTree", "find_folder", "open_tree", "save_tree"]
