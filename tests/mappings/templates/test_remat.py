"""Rematerialisation of classes and functions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mappings.templates.remat import remat


class Block(nnx.Module):
  """A block with state, dropout, and a flag."""

  def __init__(self, features: int, *, rngs: nnx.Rngs):
    self.dense = nnx.Linear(features, features, rngs=rngs)
    self.norm = nnx.BatchNorm(features, rngs=rngs)
    self.drop = nnx.Dropout(0.5, rngs=rngs)

  def __call__(self, x, train: bool = False, mask=None):
    x = self.norm(self.dense(x), use_running_average=not train)
    if mask is not None:
      x = x * mask
    return self.drop(jnp.sin(x), deterministic=not train)


def blocks():
  return Block(3, rngs=nnx.Rngs(0, dropout=1)), remat(Block)(3, rngs=nnx.Rngs(0, dropout=1))


X = jnp.arange(6.0).reshape(2, 3) / 7


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("mask", [None, jnp.array([1.0, 0.0, 1.0])])
def test_outputs_state_and_gradients_are_those_of_the_class(train, mask):
  plain, ours = blocks()

  def loss(module):
    return (module(X, train, mask=mask) ** 2).sum()

  for module in (plain, ours):
    module.grads = nnx.data(nnx.to_pure_dict(nnx.grad(loss)(module)))
  a, b = jax.tree.leaves(plain.grads), jax.tree.leaves(ours.grads)
  assert len(a) == len(b)
  for x, y in zip(a, b, strict=True):
    np.testing.assert_allclose(x, y, rtol=1e-6)
  np.testing.assert_array_equal(plain.norm.mean[...], ours.norm.mean[...])


def test_class_keeps_its_name_and_type():
  ours = remat(Block)
  assert issubclass(ours, Block)
  assert ours.__name__ == "Block"
  assert ours.__module__ == Block.__module__


def test_methods_that_are_named_are_rematerialised():
  class Pair(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
      self.dense = nnx.Linear(3, 3, rngs=rngs)

    def __call__(self, x):
      return self.dense(x)

    def encode(self, x):
      return jnp.sin(self.dense(x))

  plain, ours = Pair(rngs=nnx.Rngs(0)), remat(Pair, methods=["encode"])(rngs=nnx.Rngs(0))
  np.testing.assert_array_equal(ours.encode(X), plain.encode(X))

  def jaxpr(name):
    graph, state = nnx.split(ours)
    return str(jax.make_jaxpr(lambda s: getattr(nnx.merge(graph, s), name)(X))(state))

  assert "checkpoint" in jaxpr("encode") or "remat" in jaxpr("encode")
  assert "checkpoint" not in jaxpr("__call__")
  assert "remat" not in jaxpr("__call__")


def test_residuals_are_recomputed():
  plain, ours = blocks()

  def sines(module):
    graphdef, state = nnx.split(module)
    jaxpr = jax.make_jaxpr(jax.grad(lambda s: nnx.merge(graphdef, s)(X).sum(), allow_int=True))(state)
    return str(jaxpr).count("remat") + str(jaxpr).count("checkpoint")

  assert sines(plain) == 0
  assert sines(ours) > 0


def test_policy_and_static_argnums_are_taken():
  ours = remat(Block, policy=jax.checkpoint_policies.dots_saveable, static_argnums=(2,), prevent_cse=False)
  module = ours(3, rngs=nnx.Rngs(0, dropout=1))
  np.testing.assert_allclose(module(X, False), blocks()[0](X, False), rtol=1e-6)


def test_function_of_a_module():
  plain, _ = blocks()
  run = remat(lambda module, x, scale: module(x) * scale)
  np.testing.assert_allclose(run(plain, X, 2.0), plain(X) * 2.0, rtol=1e-6)
