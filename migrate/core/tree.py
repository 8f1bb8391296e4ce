"""Trees of leaves as flat `{tuple path: leaf}`, and what a plan must know of a leaf."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from migrate.core.paths import Key, Path, key
from migrate.core.report import refuse


class Spec(NamedTuple):
  """Shape and dtype of a leaf."""

  shape: tuple[int, ...]
  dtype: str

  def __str__(self) -> str:
    return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


NOTHING = Spec((), "nothing")
"""Stands for a masked leaf (optax.MaskedNode), which has a place and no array."""


class Leaf(NamedTuple):
  """A leaf's own path (integers kept) and its spec."""

  path: Path
  spec: Spec


def flatten(tree: Any) -> dict[Path, Any]:
  """`{path: leaf}` of nested mappings, sequences and named tuples; a flat one is returned as it is.

  None and empty containers have no leaves.
  """
  if isinstance(tree, Mapping) and tree and all(isinstance(k, tuple) for k in tree):
    return dict(tree)
  out: dict[Path, Any] = {}
  _walk(tree, (), out)
  return out


def _walk(node: Any, path: Path, out: dict[Path, Any]) -> None:
  children: Iterator[tuple[Any, Any]]
  if node is None:
    return
  if isinstance(node, Mapping):
    children = iter(node.items())
  elif hasattr(node, "shape") and hasattr(node, "dtype"):
    out[path] = node
    return
  elif isinstance(node, tuple) and hasattr(node, "_fields"):
    children = zip(node._fields, node, strict=True)  # type: ignore[attr-defined]
  elif isinstance(node, list | tuple):
    children = iter(enumerate(node))
  else:
    out[path] = node
    return
  for name, child in children:
    _walk(child, (*path, name if type(name) is int else str(name)), out)


def nest(flat: Mapping[Path, Any]) -> dict[Any, Any]:
  """Nested dicts of a flat tree; an integer segment is an integer key."""
  out: dict[Any, Any] = {}
  for path, leaf in flat.items():
    node = out
    for segment in path[:-1]:
      node = node.setdefault(segment, {})
    node[path[-1]] = leaf
  return out


_DTYPES: dict[Any, str] = {}


def spec_of(leaf: Any) -> Spec:
  """The spec of an array, of anything with shape and dtype, or of a Python number; typed PRNG keys as their numbers."""
  if isinstance(leaf, Spec):
    return leaf
  shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
  inner = getattr(getattr(dtype, "_impl", None), "key_shape", None)
  if shape is not None and inner is not None:
    return Spec((*shape, *inner), "uint32")  # a typed PRNG key, as its numbers, which is how it is stored
  if shape is None or dtype is None:
    if not isinstance(leaf, bool | int | float | complex):
      raise refuse(
        type(leaf).__name__,
        f"{leaf!r:.80} is not an array",
        "an array, or something with shape and dtype",
        "drop the leaf",
      )
    array = np.asarray(leaf)
    shape, dtype = array.shape, array.dtype
  try:
    name = _DTYPES.get(dtype)
  except TypeError:
    return Spec(tuple(shape), str(dtype))
  if name is None:
    name = _DTYPES[dtype] = _dtype_name(dtype)
  return Spec(tuple(shape), name)


def _dtype_name(dtype: Any) -> str:
  try:
    return np.dtype(dtype).name
  except TypeError:
    return str(dtype)


def leaves_of(tree: Any, side: str) -> dict[Key, Leaf]:
  """`{key: Leaf}` of a tree. Raises MigrateError where two paths differ by 0 and '0' only."""
  out: dict[Key, Leaf] = {}
  for path, leaf in flatten(tree).items():
    k = key(path)
    if k in out:
      raise refuse(
        "/".join(k),
        f"two leaves of the {side} have this path",
        "one",
        "an integer key and a string of the same digits meet",
      )
    out[k] = Leaf(path, spec_of(leaf))
  return out
