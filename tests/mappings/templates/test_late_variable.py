"""Variables made at their first use."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx

from mappings.templates.late_variable import late_variable


def test_made_once_and_then_kept():
  module = nnx.Module()
  made = []

  def make():
    made.append(1)
    return nnx.Cache(jnp.zeros(3))

  first = late_variable(module, "cache", make)
  first.set_value(jnp.ones(3))
  assert late_variable(module, "cache", make) is first
  assert made == [1]
  assert isinstance(module.cache, nnx.Cache)


def test_variable_that_is_there_is_not_made_again():
  module = nnx.Module()
  module.cache = nnx.Cache(jnp.ones(2))
  kept = late_variable(module, "cache", lambda: nnx.Cache(jnp.zeros(2)))
  assert kept is module.cache


def test_it_is_part_of_the_state():
  module = nnx.Module()
  late_variable(module, "cache", lambda: nnx.Cache(jnp.zeros(3)))
  assert len(nnx.state(module, nnx.Cache).flat_state()) == 1
