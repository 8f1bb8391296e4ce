"""Sizes of layers made before."""

from __future__ import annotations

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


def test_size_of_the_layer_that_has_just_been_made(tmp_path):
  source = """
    class Block(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(x)

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        for rows in x[0]:
          x = Block(len(rows) + x.shape[-1] // 2)(x)
          x = Block(x.shape[-1] // 2 + len(rows) + 3)(x)
        return nn.Dense(3)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3, 5)")
  assert "x_features = block_1_width[len(self.block_1) - 1]" in ported.text
