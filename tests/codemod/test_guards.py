"""Methods that the class calls under a condition on its fields."""

from __future__ import annotations

from tests.codemod.support import port_and_check

CACHE = """
  class Attention(nn.Module):
    causal: bool = False

    @nn.compact
    def _cache(self, key):
      filled = self.has_variable("cache", "key")
      cached = self.variable("cache", "key", jnp.zeros, key.shape, key.dtype)
      index = self.variable("cache", "index", lambda: jnp.array(0, jnp.int32))
      if filled:
        key = jax.lax.dynamic_update_slice(cached.value, key, (0, index.value, 0))
        cached.value = key
        index.value = index.value + 1
      return key

    @nn.compact
    def __call__(self, x, init_cache=False):
      key = nn.Dense(8)(x)
      if self.causal and (self.has_variable("cache", "key") or init_cache):
        key = self._cache(key)
      return key.mean(1, keepdims=True) + x.sum()


  """
NET = """
  class Net(nn.Module):
    @nn.compact
    def __call__(self, x, init_cache=False):
      return Attention()(Attention(True)(x, init_cache))
  """


def test_variables_of_such_a_method_are_made_under_the_condition(tmp_path):
  example = (
    "Example(Net(), (x(2, 1, 3),), init_args=(x(2, 5, 3),), init_kwargs={'init_cache': True}, mutable=('cache',))"
  )
  ported = port_and_check(tmp_path, CACHE + NET, example, clean=False)
  init = ported.text.partition("def __call__")[0]
  assert "    if self.causal:\n      self.key = nnx.Cache(" in init
  assert "\n      self.index = nnx.Cache(" in init


def test_methods_that_others_call_too_make_theirs_always(tmp_path):
  source = """
    class Head(nn.Module):
      wide: bool = False

      @nn.compact
      def scale(self, x):
        return x * self.param("scale", nn.initializers.ones, (x.shape[-1],))

      def __call__(self, x):
        if self.wide:
          x = self.scale(x)
        return x * 2


    class Net(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Head().scale(Head(True)(x))
    """
  ported = port_and_check(tmp_path, source, "Net(), x(2, 5)", held_out=["Net(), x(2, 6)"])
  assert "if self.wide" not in ported.text.partition("def scale")[0]


def test_methods_called_with_and_without_the_condition_make_theirs_always(tmp_path):
  source = """
    class Net(nn.Module):
      wide: bool = True

      @nn.compact
      def scale(self, x):
        return x * self.param("scale", nn.initializers.ones, (x.shape[-1],))

      def __call__(self, x):
        if self.wide:
          return self.scale(x)
        return self.scale(x) * 2
    """
  ported = port_and_check(tmp_path, source, "Net(), x(2, 5)", "Net(False), x(2, 5)")
  assert "if self.wide" not in ported.text.partition("def scale")[0]
