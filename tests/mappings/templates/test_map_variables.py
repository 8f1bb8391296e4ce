"""Parameters seen through a function, as `nn.map_variables` shows them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from mappings.templates.map_variables import map_variables

X = jnp.arange(6.0).reshape(2, 3) / 5


def scaled(variables):
  return jax.tree.map(lambda v: v * 0.5 + 1.0, variables)


def test_outputs_and_gradients_are_linen_s():
  linen = nn.map_variables(nn.Dense, "params", scaled, init=True)(4)
  params = linen.init(jax.random.key(0), X)["params"]
  model = map_variables(nnx.Linear, "params", scaled)(3, 4, rngs=nnx.Rngs(0))
  model.kernel[...], model.bias[...] = params["kernel"], params["bias"]
  np.testing.assert_array_equal(model(X), linen.apply({"params": params}, X))
  wanted = jax.grad(lambda p: (linen.apply({"params": p}, X) ** 2).sum())(params)
  found = nnx.grad(lambda m: (m(X) ** 2).sum())(model)
  np.testing.assert_allclose(found["kernel"][...], wanted["kernel"], rtol=1e-6)
  np.testing.assert_array_equal(model.kernel[...], params["kernel"])  # seen otherwise, not changed


@pytest.mark.parametrize("init", [True, False])
def test_first_values_are_those_that_linen_stores(init):
  model = map_variables(nnx.Linear, "params", lambda v: jax.tree.map(jnp.sign, v), init=init)(3, 4, rngs=nnx.Rngs(0))
  assert (set(np.unique(model.kernel[...])) <= {-1.0, 1.0}) == init


def test_the_function_is_given_collections_by_name():
  seen = []

  def look(variables):
    seen.append({c: sorted(v) for c, v in variables.items()})
    return variables

  map_variables(nnx.Linear, ["params"], look)(3, 4, rngs=nnx.Rngs(0))(X)
  assert seen == [{"params": ["bias", "kernel"]}]


def test_streams_and_statistics_move_on():
  class Block(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
      self.norm = nnx.BatchNorm(3, rngs=rngs)
      self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
      return self.drop(self.norm(x))

  plain, ours = Block(rngs=nnx.Rngs(0)), map_variables(Block, "params", lambda v: v)(rngs=nnx.Rngs(0))
  for _ in range(2):
    np.testing.assert_array_equal(ours(X), plain(X))
  np.testing.assert_array_equal(ours.norm.mean[...], plain.norm.mean[...])
  assert ours.drop.rngs.count[...] == plain.drop.rngs.count[...] == 2
  assert isinstance(ours, Block)
