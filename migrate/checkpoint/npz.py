"""npz files: names are paths joined by `/`. Dtypes that NumPy cannot name (bfloat16) are noted in a member."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from migrate.checkpoint.plausible import check_memory
from migrate.checkpoint.stored import Stored, StoredLeaf, checked_shape, damaged
from migrate.core.ops import numpy_dtype
from migrate.core.paths import Path
from migrate.core.report import MigrateError

_NOTE = "__linen2nnx__"


def open_npz(path: str | FilePath) -> Stored:
  """The tree of a file; arrays are read one by one, and never unpickled.

  Raises:
    MigrateError: where it is no such file, or a damaged one.
  """
  place = FilePath(path).absolute()
  try:
    with zipfile.ZipFile(place) as archive:
      names = [n.removesuffix(".npy") for n in archive.namelist()]
      if len(set(names)) != len(names):
        raise damaged(place, "two arrays of one name")
      note = json.loads(_load(place, _NOTE).tobytes()) if _NOTE in names else {}
      infos = {n: _header(place, archive, n) for n in names if n != _NOTE}
    paths, dtypes = dict(note.get("paths", {})), dict(note.get("dtypes", {}))
    leaves: dict[Path, StoredLeaf] = {}
    for name, (shape, raw) in infos.items():
      dtype = numpy_dtype(dtypes[name]) if name in dtypes else raw
      if dtype.hasobject or dtype.kind not in "biufcV" or dtype.itemsize != raw.itemsize:
        raise damaged(f"{place}: {name}", f"dtype {raw}", "numbers")
      full = tuple(paths.get(name) or name.split("/"))
      leaves[full] = StoredLeaf(shape, dtype, _Load(place, name, shape, raw, dtype), name)
    empty = tuple(tuple(p) for p in note.get("empty", []))
  except MigrateError:
    raise
  except OSError as error:
    raise damaged(place, error.strerror or str(error), "a file that can be read") from error
  except (
    zipfile.BadZipFile,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    EOFError,
    NotImplementedError,
  ) as error:
    raise damaged(place, f"not npz: {type(error).__name__} {error!s:.100}", "a file of numpy.savez") from error
  return Stored("npz", place, leaves, empty)


def _header(place: FilePath, archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
  with archive.open(f"{name}.npy") as member:
    version = np.lib.format.read_magic(member)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = reader(member)
  where, held = f"{place}: {name}", archive.getinfo(f"{name}.npy").file_size
  shape = checked_shape(where, shape)
  size = math.prod(shape) * dtype.itemsize
  check_memory(where, size)
  if size > held:
    raise damaged(where, f"{dtype}{shape}, and {held} bytes are there", f"{size} bytes")
  return shape, dtype


def _load(place: FilePath, name: str) -> np.ndarray:
  with np.load(place, allow_pickle=False) as archive:
    return archive[name]


class _Load:
  def __init__(self, place: FilePath, name: str, shape: tuple[int, ...], raw: np.dtype, dtype: Any):
    self.place, self.name, self.shape, self.raw, self.dtype = place, name, shape, raw, dtype

  def __call__(self) -> np.ndarray:
    try:
      array = _load(self.place, self.name)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
      raise damaged(f"{self.place}: {self.name}", f"cannot be read: {error!s:.100}") from error
    if array.shape != self.shape or array.dtype != self.raw:
      raise damaged(f"{self.place}: {self.name}", f"{array.dtype}{array.shape}", f"{self.raw}{self.shape}")
    return array if array.dtype == self.dtype else array.view(self.dtype)


def write_npz(place: FilePath, leaves: Mapping[Path, Any]) -> None:
  """Writes `{path: array or None}`."""
  arrays: dict[str, np.ndarray] = {}
  note: dict[str, Any] = {"paths": {}, "dtypes": {}, "empty": []}
  for path, leaf in leaves.items():
    if leaf is None:
      note["empty"].append(list(path))
      continue
    name = "/".join(map(str, path))
    if name in arrays or name == _NOTE or "\0" in name or name.endswith(".npy"):
      name = f"leaf#{len(arrays)}"  # zip ends a name at a zero byte, NumPy takes .npy off
    if list(path) != name.split("/"):
      note["paths"][name] = list(path)
    array = np.asarray(leaf)
    if array.dtype.kind == "V" or array.dtype.name not in np.sctypeDict:
      note["dtypes"][name] = array.dtype.name
      array = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")
    arrays[name] = array
  arrays[_NOTE] = np.frombuffer(json.dumps(note, ensure_ascii=False).encode(), np.uint8)
  with place.open("wb") as file:
    np.savez(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]
