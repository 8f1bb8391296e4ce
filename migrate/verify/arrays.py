"""Arrays inside arbitrary pytrees: find them, name them by path, fill in what is only a shape."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Flat = dict[tuple[str, ...], Any]

_DEPTH = 4  # how deep an object that is no pytree is searched for arrays
_SCALARS = (bool, int, float, complex, str)


def is_array(x: Any) -> bool:
  """Whether `x` is traced, rather than a static Python value."""
  return isinstance(x, (jax.Array, np.ndarray))


def is_key(x: Any) -> bool:
  """Whether `x` is an array of typed PRNG keys."""
  return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def seed_of(*parts: str) -> int:
  """A 64-bit seed from text, the same in every process."""
  return int.from_bytes(hashlib.sha1("/".join(parts).encode()).digest()[:8], "big")


def split_static(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
  """Splits a pytree into its arrays, to be passed to jit, and a function that puts them back.

  Static Python values (flags, strings, numbers) stay what they are.
  """
  leaves, treedef = jax.tree_util.tree_flatten(tree)
  arrays = [jnp.asarray(x) for x in leaves if is_array(x)]

  def rebuild(arrays: list[Any]) -> Any:
    rest = iter(arrays)
    return jax.tree_util.tree_unflatten(treedef, [next(rest) if is_array(x) else x for x in leaves])

  return arrays, rebuild


def fill_shapes(tree: Any, seed: int = 0) -> Any:
  """Replaces every `jax.ShapeDtypeStruct` by random values: floats normal, integers 0 to 3."""
  rng = np.random.default_rng(seed)

  def fill(x: Any) -> Any:
    if not isinstance(x, jax.ShapeDtypeStruct):
      return x
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
      return jax.random.split(jax.random.key(seed), x.shape)
    if x.dtype == np.bool_:
      return rng.random(x.shape) < 0.7
    if jnp.issubdtype(x.dtype, jnp.integer):
      return rng.integers(0, 4, x.shape).astype(x.dtype)
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
      return (rng.normal(size=x.shape) + 1j * rng.normal(size=x.shape)).astype(x.dtype)
    return np.asarray(rng.normal(size=x.shape), np.float32).astype(x.dtype)

  return jax.tree_util.tree_map(fill, tree, is_leaf=lambda x: isinstance(x, jax.ShapeDtypeStruct))


class Place(str):
  """The place of an item in a tuple or list, as a word of a path: equal to the same word elsewhere."""

  __slots__ = ()


def name_of(path: Any) -> tuple[str, ...]:
  """A JAX key path as plain words: the same for tuples, dicts and dataclasses of either side."""
  words = []
  for key in path:
    for attribute in ("key", "name", "idx"):
      if hasattr(key, attribute):
        words.append((Place if attribute == "idx" else str)(getattr(key, attribute)))
        break
    else:
      words.append(str(key))
  return tuple(words)


def named_leaves(tree: Any) -> tuple[dict[str, Any], dict[str, Any], int]:
  """Arrays of a pytree by path, its plain Python values by path, and how many leaves are neither.

  Objects that are no pytrees (distributions, output classes) are searched for array attributes.
  """
  arrays: dict[str, Any] = {}
  plain: dict[str, Any] = {}
  opaque = 0
  for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
    name = "/".join(name_of(path)) or "output"
    if is_array(leaf) or isinstance(leaf, np.generic):
      arrays[name] = leaf
    elif isinstance(leaf, _SCALARS):
      plain[name] = leaf
    else:
      inside = _inside(leaf, _DEPTH, set())
      arrays.update({f"{name}/{k}": v for k, v in inside.items()})
      opaque += not inside
  return arrays, plain, opaque


def _inside(thing: Any, depth: int, seen: set[int]) -> dict[str, Any]:
  """Arrays among the attributes of an object, by dotted name."""
  if depth == 0 or id(thing) in seen or isinstance(thing, type):
    return {}
  seen.add(id(thing))
  attributes = getattr(thing, "__dict__", None)
  if not isinstance(attributes, Mapping):
    return {}
  found: dict[str, Any] = {}
  for key, value in sorted(attributes.items(), key=lambda kv: str(kv[0])):
    leaves = jax.tree_util.tree_flatten_with_path(value)[0]
    for path, leaf in leaves[:64]:
      name = ".".join((str(key), *name_of(path)))
      if is_array(leaf):
        found[name] = leaf
      elif not isinstance(leaf, _SCALARS):
        found.update({f"{name}.{k}": v for k, v in _inside(leaf, depth - 1, seen).items()})
  return found


def flatten(tree: Any, prefix: tuple[str, ...] = ()) -> Flat:
  """Flattens nested mappings, tuples and lists of arrays to `{path: array}`, names kept whole."""
  flat: Flat = {}
  for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
    flat[prefix + name_of(path)] = leaf
  return flat


def unflatten(flat: Flat) -> dict[str, Any]:
  """Nested dicts from `{path: array}`, and tuples where the paths name places."""
  tree: dict[str, Any] = {}
  for path, leaf in flat.items():
    node = tree
    for part in path[:-1]:
      node = node.setdefault(part, {})
    node[path[-1]] = leaf
  return {name: _with_tuples(value) for name, value in tree.items()}


def _with_tuples(tree: Any) -> Any:
  if not isinstance(tree, dict):
    return tree
  if tree and all(isinstance(name, Place) for name in tree):
    return tuple(_with_tuples(tree[name]) for name in sorted(tree, key=int))
  return {name: _with_tuples(value) for name, value in tree.items()}


def to_numpy(x: Any) -> np.ndarray:
  """The numbers of an array; typed keys become their data."""
  return np.asarray(jax.random.key_data(x) if is_key(x) else x)


def stream_keys(names: Any, seed: int) -> dict[str, Any]:
  """The root key of each stream: the same in both processes."""
  return {name: jax.random.fold_in(jax.random.key(seed), i) for i, name in enumerate(names)}


def loss_of(arrays: Mapping[str, Any]) -> Any:
  """The mean squared distance of all float outputs from fixed targets: something to train on."""
  total = jnp.zeros((), jnp.float32)
  for name, x in sorted(arrays.items()):
    if jnp.issubdtype(x.dtype, jnp.inexact) and x.size:
      phase = seed_of(name) % 1000 / 100.0
      target = jnp.sin(jnp.arange(x.size, dtype=jnp.float32) * 12.9898 + phase).reshape(x.shape)
      total = total + jnp.mean(jnp.abs(x - target) ** 2)
  return total


def scalar_of(arrays: Mapping[str, Any]) -> Any:
  """A scalar of all float outputs, with fixed weights that no symmetry of the output survives."""
  total = jnp.zeros((), jnp.float32)
  for name, x in sorted(arrays.items()):
    if not jnp.issubdtype(x.dtype, jnp.inexact) or not x.size:
      continue
    phase = seed_of(name) % 1000 / 100.0
    weights = jnp.sin(jnp.arange(x.size, dtype=jnp.float32) * 12.9898 + phase).reshape(x.shape)
    parts = (jnp.real(x), jnp.imag(x)) if jnp.iscomplexobj(x) else (x,)
    for shift, part in enumerate(parts):
      total = total + jnp.sum(part * jnp.roll(weights, shift) if part.ndim else part * weights)
  return total
