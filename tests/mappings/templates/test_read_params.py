"""A layer that reads its parameters through a method."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from mappings.templates.read_params import call_reading


class Doubled(nnx.Linear):
  def param(self, name):
    value = getattr(self, name)[...]
    return 2 * value if name == "kernel" else value

  def __call__(self, *args, **kwargs):
    return call_reading(nnx.Linear, self, self.param, *args, **kwargs)


def test_parameters_are_read_through_the_method_and_stay():
  layer = Doubled(3, 2, rngs=nnx.Rngs(0))
  x, kernel = jnp.arange(6.0).reshape(2, 3), layer.kernel[...]
  np.testing.assert_array_equal(layer(x), x @ (2 * kernel) + layer.bias[...])
  np.testing.assert_array_equal(layer.kernel[...], kernel)


def test_gradients_go_through_the_method():
  layer = Doubled(3, 2, rngs=nnx.Rngs(0))
  grads = nnx.grad(lambda m: m(jnp.ones((1, 3))).sum())(layer)
  np.testing.assert_array_equal(grads["kernel"][...], jnp.full((3, 2), 2.0))
  compiled = nnx.jit(lambda m, x: m(x))
  np.testing.assert_allclose(compiled(layer, jnp.ones((1, 3))), layer(jnp.ones((1, 3))), rtol=1e-6)


def test_parameters_that_are_not_there_stay_away():
  layer = Doubled(3, 2, use_bias=False, rngs=nnx.Rngs(0))
  assert layer(jnp.ones((1, 3))).shape == (1, 2)


def test_other_variables_are_those_of_the_layer():
  class Norm(nnx.BatchNorm):
    def __call__(self, *args, **kwargs):
      return call_reading(nnx.BatchNorm, self, lambda n: getattr(self, n)[...] + 1, *args, **kwargs)

  norm = Norm(3, rngs=nnx.Rngs(0))
  norm(jax.random.normal(jax.random.key(0), (5, 3)) + 4)
  assert (norm.mean[...] != 0).all()
