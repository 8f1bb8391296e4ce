"""safetensors files: a length, a JSON header, the bytes. Read by mapping the file, written in one pass."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from migrate.checkpoint.stored import Stored, StoredLeaf, checked_shape, damaged
from migrate.core.op import product
from migrate.core.ops import numpy_dtype
from migrate.core.paths import Path

_DTYPES = {
  "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32",
  "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
  "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "C64": "complex64",
}  # fmt: skip
_NAMES = {v: k for k, v in _DTYPES.items()}
_LONGEST = 100_000_000
_PATHS = "linen2nnx.paths"


def open_safetensors(path: str | FilePath) -> Stored:
  """The tree of a file. Paths are those that `write_safetensors` noted, else names split on `/`, else on `.`.

  Raises:
    MigrateError: where it is no such file, or its header lies.
  """
  place = FilePath(path).absolute()
  try:
    total = place.stat().st_size
    with place.open("rb") as file:
      size = struct.unpack("<Q", file.read(8))[0]
      if size > min(total - 8, _LONGEST):
        raise damaged(place, f"a header of {size} bytes in a file of {total}")
      header = json.loads(file.read(size))
  except OSError as error:
    raise damaged(place, error.strerror or str(error), "a file that can be read") from error
  except (struct.error, ValueError, RecursionError) as error:
    raise damaged(place, f"its header cannot be read: {error!s:.100}", "a safetensors file") from error
  if not isinstance(header, dict):
    raise damaged(place, "its header is not an object", "a safetensors file")
  metadata = header.pop("__metadata__", {})
  paths = _paths(place, metadata, header)
  leaves: dict[Path, StoredLeaf] = {}
  for name, info in header.items():
    leaves[paths[name]] = _leaf(place, name, info, 8 + size, total)
  empty = tuple(p for n, p in paths.items() if n not in header)
  return Stored("safetensors", place, leaves, empty)


def _leaf(place: FilePath, name: str, info: Any, base: int, total: int) -> StoredLeaf:
  where = f"{place}: {name!r:.80}"
  try:
    shape, (start, end) = checked_shape(where, info["shape"]), info["data_offsets"]
    dtype = numpy_dtype(_DTYPES[info["dtype"]])
  except (KeyError, TypeError, ValueError) as error:
    raise damaged(where, f"{info!r:.120}", "dtype, shape and data_offsets") from error
  size = dtype.itemsize * product(shape)
  if type(start) is not int or type(end) is not int or not 0 <= start <= end <= total - base or end - start != size:
    raise damaged(where, f"{dtype}{shape} at {start} to {end} of {total - base} bytes", f"{size} bytes inside the file")

  def load() -> np.ndarray:
    if size == 0:
      return np.zeros(shape, dtype)
    return np.memmap(place, np.uint8, "r", base + start, (size,)).view(dtype).reshape(shape)

  return StoredLeaf(shape, dtype, load, name, None, lambda index: load()[index])  # mapped: only what is touched is read


def _paths(place: FilePath, metadata: Any, header: dict[str, Any]) -> dict[str, Path]:
  """The path of each name."""
  if isinstance(metadata, dict) and isinstance(metadata.get(_PATHS), str):
    try:
      noted = {str(n): tuple(p) for n, p in json.loads(metadata[_PATHS]).items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
      raise damaged(place, f"{_PATHS}: {error!s:.100}", "a path for each name") from error
    good = all(p and all(isinstance(s, str) or type(s) is int for s in p) for p in noted.values())
    if good and set(header) <= set(noted) and len(set(noted.values())) == len(noted):
      return noted
    raise damaged(place, f"{_PATHS} does not fit the tensors", "a path for each name")
  separator = "/" if any("/" in n for n in header) else "."
  return {n: tuple(n.split(separator)) for n in header}


def write_safetensors(place: FilePath, leaves: Mapping[Path, Any]) -> None:
  """Writes `{path: array or None}`."""
  header: dict[str, Any] = {}
  paths: dict[str, list[str | int]] = {}
  arrays: list[np.ndarray] = []
  at = 0
  for path, leaf in leaves.items():
    name = "/".join(map(str, path))
    name = name if name not in paths else f"{name}#{len(paths)}"
    paths[name] = list(path)
    if leaf is None:
      continue
    array = np.asarray(leaf)
    if array.dtype.name not in _NAMES:
      raise damaged(name, f"dtype {array.dtype}", f"one of {', '.join(_NAMES)}")
    header[name] = {
      "dtype": _NAMES[array.dtype.name],
      "shape": list(array.shape),
      "data_offsets": [at, at + array.nbytes],
    }
    arrays.append(array)
    at += array.nbytes
  header["__metadata__"] = {_PATHS: json.dumps(paths, ensure_ascii=False)}
  text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
  text += b" " * (-len(text) % 8)
  with place.open("wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    for array in arrays:
      file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
