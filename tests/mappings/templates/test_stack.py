"""Modules of one class stacked in one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mappings.templates.stack import stack

pytestmark = pytest.mark.filterwarnings("ignore:The 'split' argument:DeprecationWarning")


class Head(nnx.Module):
  def __init__(self, *, rngs: nnx.Rngs):
    self.dense = nnx.Linear(3, 2, rngs=rngs)
    self.mask = jnp.ones((1, 2)) * 2


def make() -> Head:
  return stack(lambda rngs: Head(rngs=rngs), 4, nnx.Rngs(0))


def test_each_has_weights_of_its_own():
  kernel = np.asarray(make().dense.kernel[...])
  assert kernel.shape == (4, 3, 2)
  assert len({k.tobytes() for k in kernel}) == 4


def test_arrays_outside_variables_are_stacked_under_a_transform_as_well():
  plain, traced = make(), nnx.eval_shape(make)
  assert plain.mask.shape == (4, 1, 2)
  shapes = [s.shape for s in jax.tree.leaves(nnx.state(traced, nnx.Not(nnx.RngState)))]
  assert sorted(shapes) == [(4, 1, 2), (4, 2), (4, 3, 2)]


def test_axis_that_is_not_the_first():
  axes = nnx.StateAxes({nnx.Param: -1, ...: 0})
  assert stack(lambda rngs: Head(rngs=rngs), 4, nnx.Rngs(0), axes).dense.kernel.shape == (3, 2, 4)
