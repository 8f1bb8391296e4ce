"""Random state of a migration: carried, seeded anew, or left out, as the user says.

Linen holds none: a program keeps root keys, in its training state perhaps, and `apply` derives the rest. NNX models
hold a key and a count for each stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from migrate.checkpoint.stored import key_data
from migrate.core.paths import Path, show
from migrate.core.report import refuse
from migrate.workflows.mapping import load_mapping


def rng_variables(model: Any) -> dict[Path, Any]:
  """`{attribute path: RngKey or RngCount}` of a module or State."""
  state = model if isinstance(model, nnx.State) else nnx.state(model)
  flat = nnx.to_flat_state(state)
  return {tuple(s if type(s) is int else str(s) for s in p): v for p, v in flat if isinstance(v, nnx.RngState)}


def roots_of(keys: Mapping[Path, Any], model: Any) -> dict[str, jax.Array]:
  """The root key of each stream of the model, from the keys of a Linen training state.

  A key serves the streams whose name is part of its own (`dropout_rng`); one alone serves them all.

  Raises:
    MigrateError: where there is none for a stream.
  """
  tags = sorted({str(v.tag) for v in rng_variables(model).values()})
  out: dict[str, jax.Array] = {}
  for tag in tags:
    found = [p for p in keys if tag in str(p[-1])] or (list(keys) if len(keys) == 1 else [])
    if len(found) != 1:
      names = ", ".join(map(show, keys)) or "no key"
      do = "say rng='reseed', or save a key for each stream under its name"
      raise refuse(f"stream {tag!r}", f"the training state has {names}", "one key for it", do)
    value = keys[found[0]]
    out[tag] = _typed(value.read() if hasattr(value, "read") else value)
    if out[tag].ndim:
      raise refuse(show(found[0]), f"keys of shape {out[tag].shape}", "one root key", "say rng='reseed' or rng='drop'")
  return out


def _typed(value: Any) -> jax.Array:
  if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
    return value
  data = jnp.asarray(value)
  impl = {2: "threefry2x32", 4: "rbg"}[data.shape[-1]]
  return jax.random.wrap_key_data(data, impl=getattr(value, "impl", impl))


def seeded(model: Any, roots: Mapping[str, jax.Array]) -> dict[Path, jax.Array]:
  """A key and a count of zero for every stream of the model, as `nnx.reseed` derives them from a root key.

  Args:
    model: live or abstract.
    roots: root keys by the streams' names; `default` is for those that have none.
  """
  out: dict[Path, jax.Array] = {}
  for i, (path, variable) in enumerate((p, v) for p, v in rng_variables(model).items() if isinstance(v, nnx.RngKey)):
    root = roots.get(str(variable.tag), roots.get("default"))
    if root is None:
      have = ", ".join(roots) or "none"
      raise refuse(f"stream {variable.tag!r}", f"keys for {have}", "a key for it", "give one, or one named default")
    key = jax.random.fold_in(_typed(root), i)
    shape = variable.get_value().shape
    out[path] = jax.random.split(key, shape) if shape else key
    out[(*path[:-1], "count")] = jnp.zeros(shape, jnp.uint32)
  return out


def stored(values: Mapping[Path, jax.Array]) -> dict[Path, np.ndarray]:
  """The same as a checkpoint holds them."""
  out: dict[Path, np.ndarray] = {}
  for path, value in values.items():
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
      out[path] = key_data(np.asarray(jax.random.key_data(value)), str(value.dtype._impl.name))  # type: ignore[attr-defined]
    else:
      out[path] = np.asarray(value)
  return out


def keep_rng(model: nnx.Module, example: Any, mapping: Any = None) -> nnx.Module:
  """Makes a hand-written NNX model draw Linen's own random numbers, and returns it.

  Every stream that draws is replaced by one that folds in what Linen folds in. Call `set_rngs` with the keys that
  `apply` would take before each call of the model; then dropout masks are Linen's, and a run continues to the bit.

  Args:
    model: the model, live, made with a stream of its own for every name: `nnx.Rngs(params=0, dropout=1)`.
    example: the `migrate.Example` of the Linen model, with the calls that draw; both models are run abstractly.
    mapping: the mapping; where its metadata has `rng_paths` (attribute path -> Linen path), these tell which stream
      is which, else the order of the draws.

  Raises:
    MigrateError: where the two models do not draw alike.
  """
  from migrate.core.registry import load_template
  from migrate.verify.linen_draws import linen_draws

  paths = {} if mapping is None else load_mapping(mapping).metadata.get("rng_paths", {})
  return load_template("linen_rngs").draw_as_linen(model, linen_draws(example, model, paths))


def set_rngs(model: nnx.Module, **rngs: Any) -> None:
  """Root keys for a model of `keep_rng`, as `apply(..., rngs={...})` takes them; works inside `nnx.jit` too."""
  from migrate.core.registry import load_template

  load_template("linen_rngs").set_rngs(model, **rngs)
