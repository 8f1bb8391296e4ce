"""Classes that `nn.vmap` made in a function."""

from __future__ import annotations

import numpy as np
from flax import linen as nn

from migrate.codemod.lifted_classes import lifted_by, stacked_sizes
from tests.codemod.support import port_and_check

ENSEMBLE = """
class Critic(nn.Module):
  width: int

  @nn.compact
  def __call__(self, x):
    return nn.Dense(1)(nn.relu(nn.Dense(self.width)(x)))

def ensemble(cls, number):
  return nn.vmap(
    cls, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=None, out_axes=0, axis_size=number
  )

class Agent(nn.Module):
  critic: nn.Module

  def __call__(self, x):
    return self.critic(x)
"""


def test_arguments_that_are_no_defaults_are_remembered():
  found = lifted_by(nn.vmap(nn.Dense, {"params": 0}, {"params": True}, axis_size=3))
  assert found is not None
  assert (found.transform, found.target) == ("vmap", nn.Dense)
  assert found.given == {"variable_axes": {"params": 0}, "split_rngs": {"params": True}, "axis_size": 3}


def test_other_classes_are_not_lifted():
  assert lifted_by(nn.Dense) is None
  assert lifted_by(nn.remat(nn.Dense)) is None


def test_class_that_a_function_lifted_is_lifted_again(tmp_path):
  port_and_check(tmp_path, ENSEMBLE, "ensemble(Critic, 3)(7), x(2, 5)")


def test_such_a_class_as_a_field(tmp_path):
  port_and_check(tmp_path, ENSEMBLE, "Agent(ensemble(Critic, 3)(7)), x(2, 5)")


def test_class_that_is_as_many_as_its_input_has_columns(tmp_path):
  source = """
    class Filter(nn.Module):
      length: int

      @nn.compact
      def __call__(self, x):
        return jnp.convolve(x, self.param("taps", nn.initializers.normal(1.0), (self.length,)), mode="same")

    def for_each_column(layer):
      return nn.vmap(layer, in_axes=1, out_axes=1, variable_axes={"params": 1}, split_rngs={"params": True})

    class Model(nn.Module):
      layer: Any
      width: int = 7

      def setup(self):
        self.inside = nn.Dense(self.width)
        self.columns = self.layer(length=3)

      def __call__(self, x):
        return self.columns(self.inside(x))
    """
  ported = port_and_check(tmp_path, source, "Model(functools.partial(for_each_column(Filter))), x(11, 5)", clean=False)
  assert "axis_size=7" in (ported.out / "ported.py").read_text()


def test_lengths_of_an_axis_below_a_path():
  variables = {"rows": {"a": np.zeros((3, 7)), "b": np.zeros((5, 7, 2))}, "other": np.zeros(11)}
  assert stacked_sizes(variables, ("rows",), 1) == {7}
  assert stacked_sizes(variables, ("rows",), 0) == {3, 5}  # no one number for all
  assert stacked_sizes(variables, ("gone",), 0) == set()
