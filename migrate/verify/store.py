"""What the Linen process hands to the NNX process, in a private temporary folder.

Arrays are npz files, everything else JSON, but for the call arguments: among them are arbitrary
Python values (flags, enums, configs of the library), so they are pickled. That is safe because
both processes are ours, the folder is readable by this user alone (`tempfile.mkdtemp`), and
it is removed after the run.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from migrate.verify.arrays import is_array, is_key

_NATIVE = "biufc"  # dtype kinds that npz stores by itself; bfloat16, float8 and int4 are stored as bytes


class _Key:
  """Stands for an array of typed PRNG keys, which pickle does not know."""

  def __init__(self, key: Any):
    self.data, self.impl = np.asarray(jax.random.key_data(key)), str(jax.random.key_impl(key))

  def restore(self) -> Any:
    """The key array again."""
    return jax.random.wrap_key_data(jax.numpy.asarray(self.data), impl=self.impl)


def save_arrays(path: Path, arrays: Mapping[Any, Any]) -> None:
  """Writes arrays under any JSON-able names (strings or tuples of strings)."""
  names, stored = [], {}
  for i, (name, x) in enumerate(arrays.items()):
    impl = str(jax.random.key_impl(x)) if is_key(x) else ""
    array = np.asarray(jax.random.key_data(x) if impl else x)
    names.append([list(name) if isinstance(name, tuple) else name, str(array.dtype), list(array.shape), impl])
    stored[f"a{i}"] = array if array.dtype.kind in _NATIVE else np.frombuffer(array.tobytes(), np.uint8)
  stored["names"] = np.frombuffer(json.dumps(names).encode(), np.uint8)
  with open(path, "wb") as file:
    np.savez(file, **stored)


def load_arrays(path: Path) -> dict[Any, Any]:
  """Reads what `save_arrays` wrote."""
  arrays = {}
  with np.load(path, allow_pickle=False) as stored:
    for i, (name, dtype, shape, impl) in enumerate(json.loads(stored["names"].tobytes())):
      array = stored[f"a{i}"]
      if array.dtype != dtype or array.shape != tuple(shape):
        array = np.frombuffer(array.tobytes(), jax.numpy.dtype(dtype)).reshape(shape)
      value = jax.random.wrap_key_data(jax.numpy.asarray(array), impl=impl) if impl else array
      arrays[tuple(name) if isinstance(name, list) else name] = value
  return arrays


def save_tree(path: Path, tree: Any) -> None:
  """Writes call arguments.

  Raises whatever pickle raises where a static value can't be pickled (a lambda, an open file).
  """
  plain = jax.tree_util.tree_map(lambda x: _Key(x) if is_key(x) else np.asarray(x) if is_array(x) else x, tree)
  path.write_bytes(pickle.dumps(plain))


def load_tree(path: Path) -> Any:
  """Reads what `save_tree` wrote."""
  tree = pickle.loads(path.read_bytes())
  return jax.tree_util.tree_map(lambda x: x.restore() if isinstance(x, _Key) else x, tree)


def save_json(path: Path, value: Any) -> None:
  """Writes JSON, whole or not at all."""
  part = path.with_suffix(".part")
  part.write_text(json.dumps(value))
  os.replace(part, path)


def load_json(path: Path) -> Any:
  """Reads JSON."""
  return json.loads(path.read_text())
