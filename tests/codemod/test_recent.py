"""Sizes of layers made before."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check


def test_a_local_that_gets_another_value_later_is_not_read_for_it(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      dim: int

      def setup(self):
        width = self.dim * 2
        self.first = nn.Dense(width)
        width = self.dim * 3
        self.second = nn.Dense(width)
        self.third = nn.Dense(self.dim)
        self.fourth = nn.Dense(self.dim)

      def __call__(self, x):
        y = self.first(x)
        return self.third(jnp.sin(y)) + self.fourth(self.second(y))
    """,
    "Model(3), x(2, 5)",
  )
  text = ported.text
  assert "self.third = nnx.Linear(width, " not in text
  assert "self.fourth = nnx.Linear(width, self.dim, rngs=rngs)" in text


def test_the_size_of_a_parameter_that_its_initial_value_sets_is_asked_of_it(tmp_path):
  source = """
    def grid(key, shape):
      lines = [jnp.linspace(-1.0, 1.0, n) for n in shape[1:-1]]
      return jnp.stack(jnp.meshgrid(*lines, indexing="ij"), axis=-1)[None]

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        where = jax.lax.stop_gradient(self.param("where", grid, x.shape))
        return x + nn.Dense(x.shape[-1])(where)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4, 6, 5)")
  assert "nnx.Linear(self.where.shape[-1], in_features, rngs=rngs)" in ported.text


def test_what_another_branch_of_a_function_made_tells_nothing(tmp_path):
  source = """
    def shrink(kind, features):
      if kind == "norm":
        return nn.Sequential([nn.LayerNorm(), nn.relu, nn.Conv(features, (3, 3))])
      return nn.Sequential([nn.Conv(features, (3, 3)), nn.relu])

    class Model(nn.Module):
      kinds: Sequence[str] = ("norm", "plain")
      widths: Sequence[int] = (4, 6)

      @nn.compact
      def __call__(self, x):
        for kind, width in zip(self.kinds, self.widths):
          x = shrink(kind, width)(x)
        return x
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4, 4, 3)", "Model(widths=(5, 7)), x(2, 4, 4, 2)")
  assert "nnx.Conv(features, features" not in ported.text


@pytest.mark.parametrize("lift", ["nn.remat", "nn.jit"])
def test_lists_of_setup_that_a_lifted_method_calls(tmp_path, lift):
  source = f"""
  class Model(nn.Module):
    number: int = 2

    def setup(self):
      self.layers = [nn.Dense(3) for _ in range(self.number)]

    @{lift}
    def block(self, x):
      for layer in self.layers:
        x = nn.relu(layer(x))
      return x

    def __call__(self, x):
      return self.block(x) + 1
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(1), x(2, 4)", "Model(3), x(2, 3)"])
  assert ported.hoisted == []
