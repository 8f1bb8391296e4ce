"""Plain objects that change themselves when they are used."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import numpy as np

from migrate.codemod.changing_objects import all_change_themselves
from tests.codemod.support import port_and_check

SOURCE = """
  class Angles:
    def __init__(self, size):
      self.size = size
      self.length, self.table = 0, None

    def __call__(self, x):
      if self.length != x.shape[1]:
        self.length = x.shape[1]
        self.table = jnp.sin(jnp.outer(jnp.arange(self.length), jnp.arange(self.size)))
      return x * self.table


  class Model(nn.Module):
    width: int

    def setup(self):
      self.dense = nn.Dense(self.width)
      # Angles by position.
      self.angles = Angles(self.width)

    def __call__(self, x):
      return self.angles(self.angles(self.dense(x)))
  """


class Table:
  def __init__(self, size):
    self.size = size

  def row(self, n):
    return self.size * n


@dataclasses.dataclass
class Filled(Table):
  size: int = 0

  def fill(self):
    self.size += 1


def test_objects_with_methods_that_set_attributes():
  assert all_change_themselves([Filled()])
  assert not all_change_themselves([Table(2)])
  assert not all_change_themselves([nn.Dense(3)])
  assert not all_change_themselves([np.ones(3)])
  assert not all_change_themselves([])


def test_object_that_keeps_arrays_of_a_call_is_made_by_every_call(tmp_path):
  ported = port_and_check(tmp_path, SOURCE, "Model(5), x(2, 4, 3)")
  assert "# Angles by position.\n  @property\n  def angles(self):\n    # Anew" in ported.text
  assert "    return Angles(self.width)" in ported.text
  assert "self.angles =" not in ported.text


def test_object_that_stays_as_it_was_made_is_an_attribute(tmp_path):
  source = SOURCE.replace("self.length = x.shape[1]\n", "pass\n").replace("self.table =", "table =")
  source = source.replace("self.length, table = 0, None", "self.length = 0").replace("x * self.table", "x * table")
  source = source.replace("jnp.arange(self.length)", "jnp.arange(x.shape[1])")
  ported = port_and_check(tmp_path, source, "Model(5), x(2, 4, 3)")
  assert "self.angles = Angles(self.width)" in ported.text


def test_partial_that_the_call_makes_layers_with_is_an_attribute(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      width: int

      def setup(self):
        self.dense = functools.partial(nn.Dense, self.width, use_bias=False)

      @nn.compact
      def __call__(self, x):
        return self.dense(name="out")(nn.relu(self.dense()(x)))
    """,
    "Model(7), x(2, 5)",
    held_out=["Model(3), x(2, 11)"],
  )
  assert "self.dense = functools.partial(nnx.Linear, out_features=self.width, use_bias=False)\n" in ported.text
  assert "self.out = self.dense(self.width, rngs=rngs)" in ported.text
