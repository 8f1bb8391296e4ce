"""Initial carries of cells that are made for nothing else."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check


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
