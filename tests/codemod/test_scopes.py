"""What a module asks its scope."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_scope_asked_in_the_module_s_stead(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        if self.scope is None:
          raise ValueError("unbound")
        x = nn.Dense(7)(x)
        if self.scope is not None and not self.scope.has_rng("noise"):
          x = x * 2
        x = x + jax.random.normal(self.scope.make_rng("other"), x.shape)
        mean = self.scope.variable("batch_stats", "mean", jnp.zeros, (7,))
        if self.scope.is_mutable_collection("batch_stats") and not self.is_initializing():
          mean.value = x.mean(0)
        return x - mean.value
    """
  call = "Example(Model(), (x(2, 5),), rngs=('other',), init_rngs=('params', 'other'), calls=(Call((x(2, 5),), rngs=('other',), mutable=['batch_stats']),))"
  ported = port_and_check(tmp_path, source, call)
  assert 'if not ("noise" in self.rngs):' in ported.text
  assert "self.rngs.other()" in ported.text
  assert "scope" not in ported.text
  assert "unbound" not in ported.text


def test_scope_in_setup(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.dense = nn.Dense(7) if self.scope is not None else None
        self.mean = self.variable("batch_stats", "mean", jnp.zeros, (7,))

      def __call__(self, x):
        return self.dense(x) - self.mean.value
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "scope" not in ported.text


def test_attribute_of_that_name_is_left_alone(tmp_path):
  source = """
    class Window:
      def __init__(self, scope):
        self.scope = scope

      def has_rng(self, name):
        return self.scope is None


    class Model(nn.Module):
      scopes: int = 3

      @nn.compact
      def __call__(self, x):
        window = Window(None)
        return nn.Dense(self.scopes)(x) if window.scope is None and window.has_rng("a") else x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert 'if window.scope is None and window.has_rng("a") else x' in ported.text
