"""A class whose calls are compiled."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx

from mappings.templates.jit import jit

TRACED = []


class Block(nnx.Module):
  def __init__(self, *, rngs: nnx.Rngs):
    self.dense = nnx.Linear(3, 2, rngs=rngs)
    self.count = nnx.BatchStat(jnp.zeros(()))

  def __call__(self, x, flag):
    TRACED.append(flag)
    self.count[...] += 1
    return self.dense(x) if flag else x


def test_calls_are_traced_once_and_update_the_module():
  block = jit(Block, static_argnums=2)(rngs=nnx.Rngs(0))
  TRACED.clear()
  for _ in range(2):
    assert block(jnp.ones((4, 3)), True).shape == (4, 2)
  assert TRACED == [True]
  assert float(block.count[...]) == 2
  assert isinstance(block, Block)


def test_function_of_a_module():
  block = Block(rngs=nnx.Rngs(0))
  assert jit(lambda module, x: module.dense(x))(block, jnp.ones((4, 3))).shape == (4, 2)
