"""What every format gives: a tree of lazy leaves by path."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from migrate.core.op import product
from migrate.core.paths import Path, show
from migrate.core.report import refuse


@dataclasses.dataclass(frozen=True)
class StoredLeaf:
  """An array that is read when it is needed.

  Attributes:
    shape: its shape.
    dtype: its NumPy dtype.
    load: gives the array.
    name: how the format calls it.
    layout: how it is stored in chunks (the metadata of zarr, version 2), where chunks can be taken as they are.
    part: gives the part at an index, without reading the rest; None where the format cannot.
  """

  shape: tuple[int, ...]
  dtype: Any
  load: Callable[[], np.ndarray] = dataclasses.field(repr=False, compare=False)
  name: str = ""
  layout: Mapping[str, Any] | None = dataclasses.field(default=None, repr=False, compare=False)
  part: Callable[[tuple[slice, ...]], np.ndarray] | None = dataclasses.field(default=None, repr=False, compare=False)

  @property
  def nbytes(self) -> int:
    """Its size in memory."""
    return np.dtype(self.dtype).itemsize * product(self.shape)

  def read(self) -> np.ndarray:
    """The array. Raises MigrateError where it is damaged or missing."""
    return self.load()


class KeyData(np.ndarray):
  """The numbers of a typed PRNG key, with the name of its algorithm: Orbax restores it as a typed one."""

  impl: str = ""


def key_data(numbers: np.ndarray, impl: str) -> KeyData:
  """Numbers of a key of that algorithm (`threefry2x32`)."""
  made = numbers.view(KeyData)
  made.impl = impl
  return made


@dataclasses.dataclass(frozen=True)
class Stored:
  """A checkpoint's tree.

  Attributes:
    format: `orbax`, `msgpack`, `safetensors` or `npz`.
    place: the folder or file that holds it, a pathlib.Path, or a folder in an object store.
    leaves: lazy leaves by path; positions of a sequence are integers.
    empty: paths of entries without an array (None, EmptyState, MaskedNode, empty containers).
    step: the step of a CheckpointManager folder, or in a file's name.
    numbers: leaves that were saved as plain numbers, not as arrays.
    keys: leaves that were saved as typed PRNG keys, with the names of their algorithms.
    note: what else there is to say about how it is stored.
  """

  format: str
  place: Any
  leaves: dict[Path, StoredLeaf]
  empty: tuple[Path, ...] = ()
  step: int | None = None
  numbers: frozenset[Path] = frozenset()
  note: str = ""
  keys: Mapping[Path, str] = dataclasses.field(default_factory=dict)

  @property
  def nbytes(self) -> int:
    """The size of all leaves in memory."""
    return sum(leaf.nbytes for leaf in self.leaves.values())


def damaged(place: Any, found: str, wanted: str = "an undamaged checkpoint") -> Exception:
  """The error for data that cannot be right."""
  return refuse(str(place), found, wanted, "the checkpoint is damaged or of another kind: use another copy")


LARGEST = 1 << 48


def checked_shape(place: Any, shape: Any) -> tuple[int, ...]:
  """The shape, if it can be one: whole numbers, and less than 256 TB in all."""
  if not isinstance(shape, list | tuple) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 64:
    raise damaged(place, f"shape {shape!r:.80}", "whole numbers")
  total = 1
  for n in shape:
    total *= max(n, 1)
    if total > LARGEST:
      raise damaged(place, f"shape {tuple(shape)!r:.80}", "less than 256 TB")
  return tuple(shape)


def listed(flat: Mapping[Path, Any]) -> Any:
  """A nested tree of a flat one, with lists where all keys of a level are integers; None fills the gaps.

  Raises:
    MigrateError: where a path is a leaf and goes on as well.
  """
  root: dict[Any, Any] = {}
  for path, leaf in flat.items():
    node = root
    for segment in path[:-1]:
      node = node.setdefault(segment, {})
      if not isinstance(node, dict):
        raise _both(path)
    if isinstance(node.get(path[-1]), dict):
      raise _both(path)
    node[path[-1]] = leaf
  return _listed(root)


def _both(path: Path) -> Exception:
  return refuse(show(path), "is a leaf, and so is a part of it", "a tree", "name another target for one of the two")


def _listed(node: Any) -> Any:
  if not isinstance(node, dict):
    return node
  made = {k: _listed(v) for k, v in node.items()}
  if made and all(type(k) is int for k in made) and max(made) < 1000:
    return [made.get(i) for i in range(max(made) + 1)]
  return {str(k): v for k, v in made.items()}


def ordered(flat: Mapping[Path, Any]) -> dict[Path, Any]:
  """The flat tree of `listed`: lists in order and without gaps."""
  out: dict[Path, Any] = {}
  _flat(listed(flat), (), out)
  return out


def _flat(node: Any, path: Path, out: dict[Path, Any]) -> None:
  if isinstance(node, dict | list) and node:
    for name, child in node.items() if isinstance(node, dict) else enumerate(node):
      _flat(child, (*path, name), out)
  else:
    out[path] = node
