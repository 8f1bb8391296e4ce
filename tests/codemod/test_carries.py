"""Initial carries of cells that are made for nothing else."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite


@pytest.mark.parametrize(
  ("cell", "written"),
  [
    ("nn.GRUCell(6)", "jnp.zeros((2, 6))"),
    ("nn.OptimizedLSTMCell(features=6)", "(jnp.zeros((2, 6)), jnp.zeros((2, 6)))"),
    ("nn.LSTMCell(6, param_dtype=jnp.bfloat16)", "(jnp.zeros((2, 6), jnp.bfloat16), jnp.zeros((2, 6), jnp.bfloat16))"),
  ],
)
def test_carry_of_zeros(tmp_path, cell, written):
  source = f"""
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        carry = {cell}.initialize_carry(jax.random.key(0), (2, 5))
        return nn.Dense(3)(x), carry
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert f"carry = {written}\n" in ported.text


def test_cell_with_a_carry_of_its_own_stays(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        cell = nn.GRUCell(6, carry_init=nn.initializers.ones)
        carry = cell.initialize_carry(jax.random.key(0), x.shape)
        return cell(carry, x)[1]
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(3, 4)"])
  assert "jnp.zeros" not in ported.text


def test_cell_of_a_field_makes_no_layer_for_its_carry(tmp_path):
  source = """
    class Model(nn.Module):
      size: int
      cell_type: Any = nn.OptimizedLSTMCell

      @nn.compact
      def __call__(self, x):
        carries = [
          self.cell_type(self.size, parent=None).initialize_carry(jax.random.key(0), (x.shape[0], self.size))
          for _ in range(2)
        ]
        for i in range(2):
          x = nn.Dense(self.size)(x) + carries[i][0]
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(6), x(2, 5)")
  assert "self.cell_type(" not in ported.text
  assert "(jnp.zeros((x.shape[0], self.size)), jnp.zeros((x.shape[0], self.size)))" in ported.text


STACK = """
  class Stack(nn.Module):
    depth: int
    width: int

    @nn.compact
    def __call__(self, carry, x):
      for i in range(self.depth):
        _, x = nn.GRUCell(self.width, name=f"cell_{i}")(carry[i], x)
      return carry, x

    @nn.nowrap
    def initialize_carry(self, shape):
      return jnp.zeros((self.depth, *shape, self.width))


  class Agent(nn.Module):
    width: int = 5

    @nn.compact
    def __call__(self, carry, x):
      x = nn.Dense(self.width)(x)
      return Stack(2, width=self.width, name="stack")(carry, x)

    @nn.nowrap
    def initialize_carry(self, shape):
      return Stack(DEPTH, width=self.width).initialize_carry(shape)
  """


def test_method_of_a_layer_made_alike_is_asked_of_the_layer(tmp_path):
  ported = port_and_check(tmp_path, STACK.replace("DEPTH", "2"), "Agent(), x(2, 3, 5), x(3, 7)")
  assert "return self.stack.initialize_carry(shape)" in ported.text
  assert ported.text.count("= Stack(") == 1


def test_method_of_a_layer_made_otherwise_is_not(tmp_path):
  ported = rewrite(tmp_path, STACK.replace("DEPTH", "3"), "Agent(), x(2, 3, 5), x(3, 7)")
  assert "self.stack.initialize_carry" not in ported.text
