"""Axes of arrays whose axes change places."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check


@pytest.mark.parametrize(
  "line",
  [
    "x = jnp.transpose(x, (0, 3, 1, 2))",
    "x = jnp.transpose(x, axes=(0, 3, 1, 2))",
    "x = x.transpose(0, 3, 1, 2)",
    "x = x.transpose((0, -1, 1, 2))",
    "x = jnp.moveaxis(x, -1, 1)",
    "x = jnp.swapaxes(jnp.swapaxes(x, 1, 3), 2, 3)",
  ],
)
def test_equal_axes_of_the_example_are_kept_apart(tmp_path, line):
  source = f"""
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        {line}
        scale = self.param("scale", nn.initializers.ones, (x.shape[1], x.shape[2], x.shape[3]))
        return x * scale
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6, 6, 3)", held_out=["Model(), x(2, 4, 7, 5)"])
  assert ported.hoisted == []


def test_all_axes_turned_around(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        y = x.T.T.mT
        return y @ self.param("w", nn.initializers.ones, (y.shape[-1], 3))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 6, 6)", held_out=["Model(), x(2, 4, 7)"])


def test_computed_axes_are_left_to_the_flow(tmp_path):
  source = """
    class Model(nn.Module):
      order: Sequence[int] = (0, 2, 1)

      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(jnp.transpose(x, self.order))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 6, 5)", held_out=["Model(), x(2, 4, 7)"])
