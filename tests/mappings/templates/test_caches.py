"""Decode caches, as Linen makes them in `init`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import nnx

from mappings.templates.caches import init_caches
from mappings.templates.stack import stack

X = jax.random.normal(jax.random.key(0), (2, 5, 6))


def attention(rngs: nnx.Rngs, decode: bool = True) -> nnx.MultiHeadAttention:
  return nnx.MultiHeadAttention(num_heads=2, in_features=6, decode=decode, rngs=rngs)


def test_token_by_token_is_linen_s():
  linen = nn.MultiHeadDotProductAttention(num_heads=2, decode=True)
  variables = linen.init(jax.random.key(1), X)
  model = attention(nnx.Rngs(0))
  init_caches(model, (2, 5))
  for name in ("query", "key", "value", "out"):
    layer = getattr(model, name)
    layer.kernel[...], layer.bias[...] = (variables["params"][name][p] for p in ("kernel", "bias"))
  cache = variables["cache"]
  for name in cache:
    assert getattr(model, name).shape == cache[name].shape
    assert getattr(model, name).dtype == cache[name].dtype
  for i in range(3):
    wanted, moved = linen.apply({**variables, "cache": cache}, X[:, i : i + 1], mutable=["cache"])
    cache = moved["cache"]
    np.testing.assert_allclose(model(X[:, i : i + 1]), wanted, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(model.cached_key[...], cache["cached_key"], rtol=1e-5, atol=1e-6)
  assert model.cache_index[...] == 3


def test_layers_that_do_not_decode_get_none():
  model = attention(nnx.Rngs(0), decode=False)
  init_caches(model, (2, 5))
  assert not jax.tree.leaves(nnx.state(model, nnx.Cache))


def test_stacked_layers_have_caches_along_the_first_axis():
  model = stack(attention, 3, nnx.Rngs(0))
  init_caches(model, (2, 5))
  assert model.cached_key.shape == (3, 2, 5, 2, 3)
  assert model.cache_index.shape == (3,)

  def step(carry, layer):
    return layer(carry), None

  run = nnx.scan(step, in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0))
  first, _ = run(X[:, :1], model)
  assert first.shape == (2, 1, 6)
  np.testing.assert_array_equal(model.cache_index[...], jnp.ones(3, jnp.int32))
