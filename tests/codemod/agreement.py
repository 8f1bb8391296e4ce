"""Both models side by side: the same random variables, inputs and draws, and their outputs compared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from migrate.core.mutable import set_flags
from migrate.core.tree import flatten
from migrate.example import Call
from migrate.trace.facts import Facts
from migrate.workflows.live import abstract
from migrate.workflows.port_files import importing
from migrate.workflows.state import to_linen, to_nnx

if TYPE_CHECKING:
  from tests.codemod.support import Ported


def compare(ported: Ported, fact: Facts, tolerance: float = 1e-5) -> None:
  """Runs both models on random variables and inputs; asserts that outputs and variables afterwards agree."""
  assert ported.out is not None
  example, mapping = fact.example, ported.draft.mappings[fact.name]
  variables = randomized(fact.variables)
  with importing(ported.out) as load:
    build = getattr(load("ported"), f"build_{fact.name}")
    model = to_nnx(variables, materialized(build), mapping)
    graphdef, state = nnx.split(model)
    for i, call in enumerate(example.all_calls):
      ours, theirs, before, after = run_both(example.module, variables, graphdef, state, mapping, call)
      agree(f"call {i}", ours, theirs, tolerance)
      agree(f"variables after call {i}", before, after, tolerance)


def run_both(
  module: Any, variables: Any, graphdef: Any, state: Any, mapping: Any, call: Call
) -> tuple[Any, Any, Any, Any]:
  """One call of both models, compiled together: (output, output, changed variables, the same from NNX)."""
  leaves, tree = jax.tree.flatten((tuple(call.args), dict(call.kwargs)))
  arrays = {i: array(f"argument {i}", v) for i, v in enumerate(leaves) if hasattr(v, "shape")}
  rngs = {n: jax.random.key(i) for i, n in enumerate(call.rngs)}

  def run(variables: Any, state: Any, arrays: Any) -> Any:
    args, kwargs = jax.tree.unflatten(tree, [arrays.get(i, v) for i, v in enumerate(leaves)])
    mutable = False if call.mutable is None else call.mutable
    method = {"method": call.method} if call.method else {}
    ours = module.apply(variables, *args, **kwargs, rngs=rngs, mutable=mutable, **method)
    changed: Any = {}
    if mutable is not False:
      ours, changed = ours
    live = nnx.merge(graphdef, state)
    set_flags(live, mapping.metadata.get("mutable", {}), mutable)
    theirs = getattr(live, call.method)(*args, **kwargs) if call.method else live(*args, **kwargs)
    kept = flatten(to_linen(live, mapping))
    changed = {p: v for p, v in flatten(changed).items() if p in flatten(variables)}
    return jax.tree.leaves(ours), jax.tree.leaves(theirs), changed, {p: kept[p] for p in changed}

  with plain_draws():
    return jax.jit(run)(variables, state, arrays)


@contextlib.contextmanager
def plain_draws() -> Iterator[None]:
  """While active, random draws depend on the shape alone, so that both models draw the same."""

  def spread(shape: Any) -> Any:
    count = int(np.prod(shape))
    return jnp.asarray(np.modf(np.arange(1, count + 1) * 0.6180339887)[0].reshape(shape), jnp.float32)

  def bernoulli(key: Any, p: Any = 0.5, shape: Any = None, **_: Any) -> Any:
    del key
    return spread(jnp.shape(p) if shape is None else shape) < p

  def uniform(key: Any, shape: Any = (), dtype: Any = jnp.float32, *_: Any, **__: Any) -> Any:
    del key
    return spread(shape).astype(dtype)

  def normal(key: Any, shape: Any = (), dtype: Any = jnp.float32, *_: Any, **__: Any) -> Any:
    del key
    return (spread(shape) * 2 - 1).astype(dtype)

  with mock.patch.multiple(jax.random, bernoulli=bernoulli, uniform=uniform, normal=normal):
    yield


def agree(what: str, ours: Any, theirs: Any, tolerance: float) -> None:
  """Asserts that two flat trees of arrays agree."""
  if isinstance(ours, dict):
    assert ours.keys() == theirs.keys(), what
    pairs = [(f"{what}, {k}", ours[k], theirs[k]) for k in ours]
  else:
    assert len(ours) == len(theirs), what
    pairs = [(f"{what}, output {i}", a, b) for i, (a, b) in enumerate(zip(ours, theirs, strict=True))]
  for name, a, b in pairs:
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape, name
    assert a.dtype == b.dtype, name
    assert np.isfinite(a.astype(np.float64)).all(), name
    scale = max(float(np.abs(a.astype(np.float64)).max(initial=0.0)), 1e-3)
    np.testing.assert_allclose(b.astype(np.float64), a.astype(np.float64), rtol=0, atol=tolerance * scale, err_msg=name)


def array(name: str, spec: Any) -> Any:
  """A random array for an abstract one, the same for the same name; variances are positive, integers zero or one."""
  if isinstance(spec, jax.Array | np.ndarray):
    return jnp.asarray(spec)
  random = np.random.default_rng(sum(map(ord, name)) + 7 * len(spec.shape))
  if jax.dtypes.issubdtype(spec.dtype, jax.dtypes.prng_key):
    return jax.random.key(0)
  if jnp.issubdtype(spec.dtype, jnp.inexact):
    values = random.normal(size=spec.shape) * 0.4
    if name.rpartition("/")[2] in ("var", "scale"):
      values = 0.5 + np.abs(values)
    return jnp.asarray(values, spec.dtype)
  high = 3 if name.startswith("argument") else 1
  return jnp.asarray(random.integers(0, high, spec.shape), spec.dtype)


def randomized(variables: Any) -> Any:
  """Abstract variables filled with random values, none at its initial one."""
  paths, tree = jax.tree_util.tree_flatten_with_path(variables)
  return jax.tree.unflatten(tree, [array("/".join(str(getattr(k, "key", k)) for k in p), v) for p, v in paths])


def materialized(build: Any) -> Any:
  """A model without running its initializers where its arrays are all Variables; zeros stand for them."""
  model = abstract(lambda: build(nnx.Rngs(0)))
  graphdef, state = nnx.split(model)
  leaves = jax.tree.leaves(state, is_leaf=lambda v: isinstance(v, nnx.Variable))
  if not all(isinstance(v, nnx.Variable) for v in leaves):
    return build(nnx.Rngs(0))

  def fill(leaf: Any) -> Any:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
      return jax.random.key(0) if not leaf.shape else jax.random.split(jax.random.key(0), leaf.shape)
    return jnp.zeros(leaf.shape, leaf.dtype)

  return nnx.merge(graphdef, jax.tree.map(fill, state))
