"""Keys that a method draws only for the first values of its variables."""

from __future__ import annotations

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
