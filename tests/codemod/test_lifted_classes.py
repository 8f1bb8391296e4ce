"""Classes that `nn.vmap` made in a function."""

from __future__ import annotations

from flax import linen as nn

from migrate.codemod.lifted_classes import lifted_by
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
