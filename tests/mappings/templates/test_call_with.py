"""A layer called with other parameters than its own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from mappings.templates.call_with import call_with


@pytest.fixture
def layer():
  return nnx.Linear(3, 2, rngs=nnx.Rngs(0))


def test_agrees_with_apply(layer):
  x = jnp.arange(6.0).reshape(2, 3)
  params = {"kernel": jnp.arange(6.0).reshape(3, 2), "bias": jnp.array([1.0, -1.0])}
  wanted = nn.Dense(2).apply({"params": params}, x)
  np.testing.assert_array_equal(call_with(layer, params, x), wanted)


def test_the_layer_itself_is_unchanged(layer):
  before = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(layer)))
  call_with(layer, {"kernel": jnp.zeros((3, 2))}, jnp.ones((1, 3)))
  jax.tree.map(np.testing.assert_array_equal, before, nnx.to_pure_dict(nnx.state(layer)))


def test_parameters_that_are_not_given_are_the_layer_s_own(layer):
  out = call_with(layer, {"kernel": jnp.zeros((3, 2))}, jnp.ones((1, 3)))
  np.testing.assert_array_equal(out, layer.bias[...][None])


def test_variables_are_taken_for_arrays(layer):
  out = call_with(layer, {"kernel": nnx.Param(jnp.ones((3, 2)))}, jnp.ones((1, 3)))
  np.testing.assert_array_equal(out, jnp.full((1, 2), 3.0))


def test_parameters_of_layers_inside():
  class Two(nnx.Module):
    def __init__(self, rngs):
      self.inner = nnx.Linear(3, 3, rngs=rngs)

    def __call__(self, x):
      return self.inner(x)

  params = {"inner": {"kernel": jnp.eye(3) * 2, "bias": jnp.zeros(3)}}
  np.testing.assert_array_equal(call_with(Two(nnx.Rngs(0)), params, jnp.ones((1, 3))), jnp.full((1, 3), 2.0))


def test_gradients_flow_to_the_given_parameters(layer):
  grad = jax.grad(lambda k: call_with(layer, {"kernel": k}, jnp.ones((1, 3))).sum())(jnp.zeros((3, 2)))
  np.testing.assert_array_equal(grad, jnp.ones((3, 2)))
