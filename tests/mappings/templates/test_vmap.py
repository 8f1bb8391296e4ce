"""Instances side by side, as `nn.vmap` of a class has them."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from mappings.templates.vmap import vmap


class LinenHead(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.Dense(2, name="dense")(x)


class Head(nnx.Module):
  def __init__(self, *, rngs: nnx.Rngs):
    self.dense = nnx.Linear(3, 2, rngs=rngs)

  def __call__(self, x):
    return self.dense(x)


X = jnp.arange(6.0).reshape(2, 3)
pytestmark = pytest.mark.filterwarnings("ignore:The 'split' argument:DeprecationWarning")
CASES = {
  "ensemble": {
    "variable_axes": {"params": 0},
    "split_rngs": {"params": True},
    "in_axes": None,
    "out_axes": 0,
    "axis_size": 4,
  },
  "stacked last": {
    "variable_axes": {"params": -1},
    "split_rngs": {"params": True},
    "in_axes": None,
    "out_axes": -1,
    "axis_size": 4,
  },
  "mapped input": {
    "variable_axes": {"params": 0},
    "split_rngs": {"params": True},
    "in_axes": 0,
    "out_axes": 0,
    "axis_size": 2,
  },
  "shared parameters": {
    "variable_axes": {"params": None},
    "split_rngs": {"params": False},
    "in_axes": 0,
    "out_axes": 0,
    "axis_size": 2,
  },
}


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_linen(name):
  linen = nn.vmap(LinenHead, **CASES[name])()
  variables = linen.init(jax.random.key(1), X)
  ours = vmap(Head, **CASES[name])(rngs=nnx.Rngs(0))
  for leaf, value in variables["params"]["dense"].items():
    held = getattr(ours.stacked.dense, leaf)
    assert held.get_value().shape == value.shape
    held.set_value(value)
  np.testing.assert_allclose(ours(X), linen.apply(variables, X), rtol=1e-6)


def test_parameters_differ_between_the_instances():
  kernel = vmap(Head, **CASES["ensemble"])(rngs=nnx.Rngs(0)).stacked.dense.kernel[...]
  assert kernel.shape == (4, 3, 2)
  assert not np.allclose(kernel[0], kernel[1])


def test_size_may_come_with_the_instance():
  case = {k: v for k, v in CASES["ensemble"].items() if k != "axis_size"}
  assert vmap(Head, **case)(rngs=nnx.Rngs(0), axis_size=5)(X).shape == (5, 2, 2)


def test_size_that_nobody_gives_is_refused():
  case = {k: v for k, v in CASES["ensemble"].items() if k != "axis_size"}
  with pytest.raises(AssertionError, match="axis_size"):
    vmap(Head, **case)(rngs=nnx.Rngs(0))


def test_name_says_what_it_is():
  assert vmap(Head, **CASES["ensemble"]).__name__ == "VmapHead"


def test_partial_of_a_class():
  class Wide(nnx.Module):
    def __init__(self, width, *, rngs):
      self.dense = nnx.Linear(3, width, rngs=rngs)

    def __call__(self, x):
      return self.dense(x)

  cls = vmap(functools.partial(Wide, width=5), in_axes=0)
  assert cls.__name__ == "VmapWide"
  assert cls(rngs=nnx.Rngs(0))(X).shape == (2, 5)


class LinenCritic(nn.Module):
  def setup(self):
    self.dense, self.out = nn.Dense(2), nn.Dense(1)

  def __call__(self, x):
    return self.out(self.features(x))

  def features(self, x):
    return nn.relu(self.dense(x))


class Critic(nnx.Module):
  def __init__(self, *, rngs: nnx.Rngs):
    self.dense, self.out = nnx.Linear(3, 2, rngs=rngs), nnx.Linear(2, 1, rngs=rngs)

  def __call__(self, x):
    return self.out(self.features(x))

  def features(self, x):
    return nnx.relu(self.dense(x))


GIVEN = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}, "in_axes": None, "axis_size": 4}


@pytest.mark.parametrize(
  "given",
  [
    {"methods": ["__call__", "features"], **GIVEN},
    {"methods": {"__call__": GIVEN, "features": {**GIVEN, "out_axes": 1}}},
  ],
)
def test_methods_that_are_lifted(given):
  linen = nn.vmap(LinenCritic, **given)()
  params = linen.init(jax.random.key(0), X)["params"]
  model = vmap(Critic, **given)(rngs=nnx.Rngs(1))
  state = nnx.state(model, nnx.Param)
  nnx.replace_by_pure_dict(state, {"stacked": params})
  nnx.update(model, state)
  np.testing.assert_array_equal(model(X), linen.apply({"params": params}, X))
  np.testing.assert_array_equal(model.features(X), linen.apply({"params": params}, X, method="features"))


def test_without_methods_only_the_call_is_lifted():
  assert not hasattr(vmap(Critic, variable_axes={"params": 0}, axis_size=2)(rngs=nnx.Rngs(1)), "features")


def test_instances_that_share_parameters_draw_masks_of_their_own():
  class Noisy(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
      self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
      return self.dropout(x)

  x = jnp.ones((4, 32))
  for rngs in (nnx.Rngs(params=0, dropout=1), nnx.Rngs(0)):
    each = vmap(Noisy, {"params": None}, {"params": False, "dropout": True})(rngs=rngs)
    once, again = each(x), each(x)
    assert len({tuple(row.tolist()) for row in once}) == 4
    assert not np.array_equal(once, again)
  same = vmap(Noisy, {"params": None}, {"params": False, "dropout": False})(rngs=nnx.Rngs(0))(x)
  assert len({tuple(row.tolist()) for row in same}) == 1


class LinenMeans(nn.Module):
  @nn.compact
  def __call__(self, x):
    return x - jax.lax.pmean(x, "batch")


class Means(nnx.Module):
  def __init__(self, *, rngs: nnx.Rngs):
    del rngs

  def __call__(self, x):
    return x - jax.lax.pmean(x, "batch")


def test_instances_may_speak_of_their_axis():
  given = {"variable_axes": {"params": None}, "split_rngs": {"params": False}, "axis_name": "batch"}
  wanted = nn.vmap(LinenMeans, **given)().apply({}, X)
  np.testing.assert_array_equal(vmap(Means, **given)(rngs=nnx.Rngs(0))(X), wanted)
