"""Flax msgpack files: `flax.serialization.to_bytes`, `flax.training.checkpoints` without Orbax.

Read without flax, from the bytes alone: every size is checked before it is believed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from migrate.checkpoint.stored import LARGEST, Stored, StoredLeaf, checked_shape, damaged
from migrate.core.ops import numpy_dtype
from migrate.core.paths import Path
from migrate.core.report import MigrateError

_CHUNKED = "__msgpack_chunked_array__"
_DEPTH = 64
_BESIDE = "PLACEHOLDER://"


def open_msgpack(path: str | FilePath, beside: Callable[[str], StoredLeaf] | None = None) -> Stored:
  """The tree of a file, its arrays views of the file's bytes.

  Args:
    path: the file.
    beside: gives an array that the file only names (`PLACEHOLDER://name`, as Orbax wrote before it had metadata).

  Raises:
    MigrateError: where it is no such file, or a damaged one.
  """
  import msgpack

  place = FilePath(path).absolute()
  try:
    data = place.read_bytes()
    limit = len(data)
    tree = msgpack.unpackb(
      data,
      ext_hook=lambda code, body: _extension(place, code, body),
      raw=False,
      strict_map_key=False,
      max_str_len=min(limit, 1 << 20),
      max_bin_len=limit,
      max_ext_len=limit,
      max_array_len=limit,
      max_map_len=limit,
    )
  except OSError as error:
    raise damaged(place, error.strerror or str(error), "a file that can be read") from error
  except MigrateError:
    raise
  except Exception as error:  # msgpack raises many kinds
    raise damaged(place, f"not msgpack: {type(error).__name__} {error!s:.100}", "a flax msgpack file") from error
  if not isinstance(tree, dict):
    raise damaged(place, f"holds a {type(tree).__name__}", "a tree of arrays")
  leaves: dict[Path, Any] = {}
  empty: list[Path] = []
  numbers: set[Path] = set()
  _walk(place, tree, (), leaves, empty, numbers)
  for at, leaf in leaves.items():
    if isinstance(leaf, str):
      if beside is None:
        where = f"{place}: {'/'.join(map(str, at))}"
        raise damaged(where, "an array beside the file", "its folder, as Orbax wrote it")
      leaves[at] = beside(leaf)
  number = place.name.rpartition("_")[2]
  step = int(number) if number.isascii() and number.isdecimal() else None
  return Stored("msgpack", place, leaves, tuple(empty), step, frozenset(numbers))


def _walk(place: FilePath, node: Any, path: Path, leaves: dict, empty: list, numbers: set) -> None:
  if len(path) > _DEPTH:
    raise damaged(place, f"more than {_DEPTH} levels", "a tree of arrays")
  if isinstance(node, dict) and _CHUNKED in node:
    node = _joined(place, node)
  if isinstance(node, dict | list) and node:
    for name, child in node.items() if isinstance(node, dict) else enumerate(node):
      if not isinstance(name, str | int) or isinstance(name, bool):
        raise damaged(place, f"key {name!r:.60}", "names")
      _walk(place, child, (*path, str(name)), leaves, empty, numbers)
  elif node is None or (isinstance(node, dict | list) and not node):
    if path:
      empty.append(path)
  elif isinstance(node, bool | int | float | complex):
    try:
      array = np.asarray(node)
    except OverflowError:
      array = np.asarray(float(node.real))
    if array.dtype == object:
      raise damaged(place, f"the number {node!r:.60}", "a number of 64 bits")
    numbers.add(path)
    leaves[path] = _leaf(path, array)
  elif isinstance(node, np.ndarray):
    leaves[path] = _leaf(path, node)
  elif isinstance(node, str) and node.startswith(_BESIDE):
    leaves[path] = node[len(_BESIDE) :]
  else:
    raise damaged(f"{place}: {'/'.join(map(str, path))}", f"{type(node).__name__} {node!r:.60}", "arrays and numbers")


def _leaf(path: Path, array: np.ndarray) -> StoredLeaf:
  return StoredLeaf(array.shape, array.dtype, lambda: array, "/".join(map(str, path)))


def _extension(place: FilePath, code: int, body: bytes) -> Any:
  """Flax's extensions: 1 an array, 2 a complex number, 3 a NumPy scalar."""
  import msgpack

  if code not in (1, 2, 3):
    raise damaged(place, f"extension {code}", "flax's own: 1, 2 or 3")
  parts = msgpack.unpackb(body, raw=True, max_ext_len=0, max_array_len=80, max_bin_len=len(body), max_str_len=len(body))
  if code == 2:
    return complex(*(float(n) for n in parts))
  shape, name, data = parts
  shape, dtype = checked_shape(place, shape), numpy_dtype(name.decode("ascii"))
  size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
  if dtype.hasobject or dtype.kind not in "biufcV" or size != len(data) or size > LARGEST:
    raise damaged(place, f"an array {dtype}{shape} with {len(data)} bytes", f"{size} bytes")
  return np.frombuffer(data, dtype).reshape(shape)


def _joined(place: FilePath, node: dict[str, Any]) -> np.ndarray:
  """An array that was saved in chunks."""
  try:
    shape = checked_shape(place, [node["shape"][str(i)] for i in range(len(node["shape"]))])
    chunks = [node["chunks"][str(i)] for i in range(len(node["chunks"]))]
    return np.concatenate([np.ravel(c) for c in chunks]).reshape(shape)
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise damaged(place, f"a chunked array: {error!s:.100}", "all of its chunks") from error


def write_msgpack(place: FilePath, tree: Any) -> None:
  """Writes nested dicts and lists of arrays as flax does (lists become dicts of digits, None stays)."""
  from flax import serialization

  with contextlib.suppress(FileNotFoundError):
    place.unlink()
  place.write_bytes(serialization.msgpack_serialize(_plain(tree), in_place=True))


def _plain(node: Any) -> Any:
  if isinstance(node, dict):
    return {str(k): _plain(v) for k, v in node.items()}
  if isinstance(node, list | tuple):
    return {str(i): _plain(v) for i, v in enumerate(node)}
  if node is None:
    return {}
  return node if isinstance(node, bool | int | float | complex) else np.asarray(node)
