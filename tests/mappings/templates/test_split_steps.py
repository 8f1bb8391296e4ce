"""Every step of a scanned method has random streams of its own, split from the module's."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mappings.templates.split_steps import split_steps

AXES = nnx.StateAxes({nnx.RngState: 0, ...: None})


def noisy(axis: int) -> type:
  class Noisy(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
      self.rngs = rngs.fork()

    @split_steps(axis)
    @functools.partial(nnx.scan, in_axes=(AXES, nnx.Carry, axis), out_axes=(nnx.Carry, axis))
    def __call__(self, carry, inputs):
      x, _ = inputs
      return carry + 1, x + jax.random.normal(self.rngs.noise(), x.shape)

  return Noisy


@pytest.mark.parametrize("axis", [0, 1])
def test_steps_draw_from_keys_that_are_split_from_the_stream_s(axis):
  model = noisy(axis)(rngs=nnx.Rngs(noise=3))
  shape = (4, 2, 3) if axis == 0 else (2, 4, 3)
  drawn = model.rngs.noise.key[...], model.rngs.noise.count[...]
  carry, ys = model(jnp.zeros(()), (jnp.zeros(shape), jnp.zeros(shape)))
  assert carry == 4
  steps = np.moveaxis(np.asarray(ys), axis, 0)
  assert len({s.tobytes() for s in steps}) == 4
  root = jax.random.fold_in(*drawn)
  first = jax.random.normal(jax.random.fold_in(jax.random.split(root, 4)[0], 0), steps[0].shape)
  np.testing.assert_array_equal(steps[0], first)


def test_the_stream_moves_on_by_one_draw():
  model = noisy(0)(rngs=nnx.Rngs(noise=3))
  x = (jnp.zeros((4, 2)), jnp.zeros((4, 2)))
  _, first = model(jnp.zeros(()), x)
  _, second = model(jnp.zeros(()), x)
  assert not np.allclose(first, second)
  assert model.rngs.noise.count[...] == 2
