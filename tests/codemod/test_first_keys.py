"""Keys that a method draws only for the first values of its variables."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

CALL = "Example(Noisy(), (x(2, 3),), rngs=('noise',), init_rngs=('params', 'noise'))"
SOURCE = """
  class Noisy(nn.Module):
    width: int = 5

    @nn.compact
    def __call__(self, x):
      kernel = self.param("kernel", nn.initializers.normal(), (x.shape[-1], self.width))
      # one key for each
      first, second = jax.random.split(self.make_rng("noise"))
      u = self.variable("spectral", "u", nn.initializers.normal(), first, (1, self.width))
      v = self.variable("spectral", "v", lambda: jax.random.normal(second, (x.shape[-1], 1)))
      return x @ kernel * u.value + v.value.sum()
  """


def test_keys_that_only_first_values_read_are_drawn_at_construction(tmp_path):
  ported = port_and_check(tmp_path, SOURCE, CALL)
  init, method = ported.text.split("def __call__")
  assert "first, second = jax.random.split(rngs.noise())" in init
  assert "split" not in method
  assert "self.rngs" not in ported.text


def test_key_that_a_call_reads_too_stays_in_the_method(tmp_path):
  source = """
    class Noisy(nn.Module):
      width: int = 5

      @nn.compact
      def __call__(self, x):
        key = self.make_rng("noise")
        u = self.variable("spectral", "u", lambda: jnp.ones((1, self.width)))
        return nn.Dense(self.width)(x) * u.value + 0 * jax.random.normal(key, (self.width,))
    """
  ported = port_and_check(tmp_path, source, CALL)
  assert "key = self.rngs.noise()" in ported.text


DRAWN = """
class Model(nn.Module):
  features: int = 4

  @nn.compact
  def __call__(self, x):
    {lines}
    return nn.Dense(2)(jnp.sin(x @ b.value))
"""


DRAWS = [
  'b = self.variable("fixed", "b", lambda: jax.random.normal(self.make_rng("params"), (x.shape[-1], self.features)))',
  """key = self.make_rng("params") if not self.has_variable("fixed", "b") else None
    b = self.variable("fixed", "b", jax.random.normal, key, (x.shape[-1], self.features))""",
  """known = self.has_variable("fixed", "b")
    key = None if known else self.make_rng("params")
    b = self.variable("fixed", "b", jax.random.normal, key, (x.shape[-1], self.features))""",
  """b = self.variable(
      "fixed", "b", jax.random.normal, self.make_rng("params") if self.has_rng("params") else None, (x.shape[-1], self.features)
    )""",
  """def draw():
      key = self.make_rng("params")
      return jax.random.normal(key, (x.shape[-1], self.features))
    b = self.variable("fixed", "b", draw)""",
]


@pytest.mark.parametrize("lines", DRAWS)
def test_first_values_that_are_drawn_are_drawn_at_construction(tmp_path, lines):
  ported = port_and_check(tmp_path, DRAWN.format(lines=lines), "Model(), x(2, 6)", held_out=["Model(3), x(3, 5)"])
  assert ported.text.count("rngs.params()") == 1
  assert "self.rngs" not in ported.text
  assert "has_variable" not in ported.text
  assert ported.text.index("rngs.params()") < ported.text.index("def __call__")


def test_a_draw_of_setup_for_a_first_value(tmp_path):
  source = """
    class Model(nn.Module):
      features: int = 4

      def setup(self):
        key = self.make_rng("params") if self.is_initializing() else None
        self.b = self.variable("fixed", "b", lambda: jax.random.normal(key, (6, self.features)))
        self.out = nn.Dense(2)

      def __call__(self, x):
        return self.out(jnp.sin(x @ self.b.value))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=["Model(3), x(3, 6)"])
  assert "    key = rngs.params()\n" in ported.text


def test_draws_of_a_call_stay_in_the_call(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        def noise():
          return jax.random.normal(self.make_rng("noise"), x.shape)
        scale = self.param("scale", nn.initializers.ones, (1,))
        return nn.Dense(2)(x + scale * noise())
    """
  ported = port_and_check(tmp_path, source, 'Example(Model(), (x(2, 6),), rngs=("noise",))')
  assert "jax.random.normal(self.rngs.noise(), x.shape)" in ported.text
