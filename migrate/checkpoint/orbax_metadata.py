"""The metadata files of Orbax for a checkpoint that is made of another: those of the source under the new names."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from migrate.checkpoint.orbax_folder import METADATA
from migrate.checkpoint.references import Reference
from migrate.checkpoint.stored import KeyData
from migrate.core.paths import Path


def dotted(path: Path) -> str:
  """How Orbax names the array of a path."""
  return ".".join(map(str, path))


def write_metadata(folder: FilePath, metadata: dict[str, Any], leaves: Mapping[Path, Any]) -> None:
  """Writes Orbax's metadata of a source under the new names, beside what else of it is in the folder.

  Args:
    folder: the checkpoint that is made; its `_sharding` and `array_metadatas`, where there, are still the source's.
    metadata: what the source's `_METADATA` says.
    leaves: a Reference, a number, None, or the dtype of a new array, by path.
  """
  values = {
    dotted(tuple(k["key"] for k in e["key_metadata"])): e["value_metadata"] for e in metadata["tree_metadata"].values()
  }
  entries: dict[str, Any] = {}
  for path, leaf in leaves.items():
    if isinstance(leaf, Reference) and leaf.name:
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
      names.setdefault(leaf.name, []).append(dotted(path))
  sharding = folder / "_sharding"
  if sharding.is_file():
    known = {base64.b64decode(k).decode(): v for k, v in json.loads(sharding.read_bytes()).items()}
    _replace(sharding, {base64.b64encode(n.encode()).decode(): v for k, v in known.items() for n in names.get(k, ())})
  for file in (folder / "array_metadatas").glob("*") if (folder / "array_metadatas").is_dir() else ():
    known = [e["array_metadata"] for e in json.loads(file.read_bytes())["array_metadatas"]]
    kept = [{**e, "param_name": n} for e in known for n in names.get(e["param_name"], ())]
    _replace(file, {"array_metadatas": [{"array_metadata": e} for e in kept]})
  note_keys(folder, {p: leaf for p, leaf in leaves.items() if isinstance(leaf, KeyData)})


def note_keys(folder: FilePath, keys: Mapping[Path, KeyData]) -> None:
  """Notes which arrays of a checkpoint are typed PRNG keys, in the two files where Orbax looks for it."""
  if not keys:
    return
  tree = json.loads((folder / METADATA).read_bytes())
  for path, data in keys.items():
    value = {"value_type": "jax.Array", "skip_deserialize": False, "write_shape": list(data.shape)}
    tree["tree_metadata"][str(tuple(map(str, path)))]["value_metadata"] = value
  (folder / METADATA).write_text(json.dumps(tree), encoding="utf-8")
  file = folder / "array_metadatas" / "process_0"
  known = json.loads(file.read_bytes()) if file.is_file() else {"array_metadatas": []}
  for path, data in keys.items():
    shape, kind = list(data.shape), {"random_key_impl": data.impl}
    entry = {"param_name": dotted(path), "write_shape": shape, "chunk_shape": shape, "ext_metadata": kind}
    known["array_metadatas"].append({"array_metadata": entry})
  file.parent.mkdir(exist_ok=True)
  _replace(file, known)


def _replace(file: FilePath, data: Any) -> None:
  file.write_text(json.dumps(data), encoding="utf-8")
