"""A deep stack of one class, rematerialised level by level, as `nn.remat_scan` has it."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from mappings.templates.remat_scan import remat_scan


class LinenBlock(nn.Module):
  @nn.compact
  def __call__(self, x):
    return x + jnp.tanh(nn.Dense(3, name="dense")(x))


class Block(nnx.Module):
  def __init__(self, *, rngs: nnx.Rngs):
    self.dense = nnx.Linear(3, 3, rngs=rngs)

  def __call__(self, x):
    return x + jnp.tanh(self.dense(x))


X = jnp.arange(6.0).reshape(2, 3) / 5
POLICY = jax.checkpoint_policies.nothing_saveable


@pytest.mark.parametrize("lengths", [(3,), (2, 3), (2, 1, 2)])
def test_outputs_and_gradients_are_linen_s(lengths):
  linen = nn.remat_scan(LinenBlock, lengths=lengths, policy=POLICY)()
  params = linen.init(jax.random.key(0), X)["params"]
  model = remat_scan(Block, lengths=lengths, policy=POLICY)(rngs=nnx.Rngs(1))
  state = nnx.state(model, nnx.Param)
  assert jax.tree.map(jnp.shape, nnx.to_pure_dict(state)) == {"scanned": jax.tree.map(jnp.shape, params)}
  nnx.replace_by_pure_dict(state, {"scanned": params})
  nnx.update(model, state)
  np.testing.assert_array_equal(model(X), linen.apply({"params": params}, X))
  wanted = jax.grad(lambda p: (linen.apply({"params": p}, X) ** 2).sum())(params)
  found = nnx.grad(lambda m: (m(X) ** 2).sum())(model)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), nnx.to_pure_dict(found)["scanned"], wanted)


def test_every_step_has_values_of_its_own_and_order_counts():
  model = remat_scan(Block, lengths=(2, 2))(rngs=nnx.Rngs(1))
  kernel = np.asarray(model.scanned.dense.kernel[...]).reshape(4, -1)
  assert len({k.tobytes() for k in kernel}) == 4
  x = X
  for i in range(2):
    for j in range(2):
      step = jax.tree.map(lambda v, i=i, j=j: v[i, j], nnx.to_pure_dict(nnx.state(model.scanned, nnx.Param)))
      x = x + jnp.tanh(x @ step["dense"]["kernel"] + step["dense"]["bias"])
  np.testing.assert_allclose(model(X), x, rtol=1e-6)


def test_levels_are_rematerialised():
  model = remat_scan(Block, lengths=(2, 3))(rngs=nnx.Rngs(1))
  graph, state = nnx.split(model)
  text = str(jax.make_jaxpr(jax.grad(lambda s: nnx.merge(graph, s)(X).sum()))(state))
  assert "remat" in text or "checkpoint" in text
  assert math.prod(model.scanned.dense.bias[...].shape) == 18
