"""Methods: what is rewritten, and what stays byte for byte."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite


def test_methods_that_share_layers(tmp_path):
  source = """
    class Model(nn.Module):
      latent: int = 3

      def setup(self):
        self.encoder = nn.Dense(self.latent)
        self.decoder = nn.Dense(5)

      def encode(self, x):
        return nn.tanh(self.encoder(x))

      def decode(self, z):
        return self.decoder(z)

      def __call__(self, x):
        return self.decode(self.encode(x))
    """
  call = "Example(Model(), (x(2, 5),), calls=(Call((x(2, 5),), method='encode'), Call((x(2, 3),), method='decode')))"
  port_and_check(tmp_path, source, call)


def test_properties_class_variables_and_static_methods_stay(tmp_path):
  source = """
    from typing import ClassVar

    class Model(nn.Module):
      factor: ClassVar[int] = 2
      features: int = 7

      @property
      def width(self):
        return self.features * self.factor

      @staticmethod
      def double(x):
        return 2 * x

      @classmethod
      def small(cls):
        return cls(3)

      @nn.compact
      def __call__(self, x):
        return self.double(nn.Dense(self.width)(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(5), x(2, 3)"])
  assert "  factor: ClassVar[int] = 2\n" in ported.text
  assert "  @property\n  def width(self):\n    return self.features * self.factor\n" in ported.text


def test_four_spaces_stay_four_spaces(tmp_path):
  source = """
class Model(nn.Module):
    width: int = 7

    @nn.compact
    def __call__(self, x):
        # a comment
        y = nn.Dense(self.width)(x)

        return y  # the end
"""
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert (
    "        self.width = width\n        self.dense = nnx.Linear(in_features, self.width, rngs=rngs)\n" in ported.text
  )
  assert "        return y  # the end\n" in ported.text


def test_methods_without_linen_are_byte_for_byte_the_same(tmp_path):
  method = '''  def helper(self, a, *, b = 1, **more) -> "jax.Array":
    """Adds,
      oddly."""
    if (a >  b):   # odd   spacing
        return a+b
    return [ a,
             b ]
'''
  source = f"""
class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.Dense(3)(self.helper(x, b=2) + 0 if False else x)

{method}"""
  assert method in rewrite(tmp_path, source, "Model(), x(2, 5)").text


@pytest.mark.parametrize(
  ("decorator", "wanted"),
  [
    ("@nn.jit", "@nnx.jit"),
    ("@functools.partial(nn.jit, static_argnames=('self', 'twice'))", "@functools.partial(nnx.jit, static_argnames=('twice',))"),
    ("@functools.partial(nn.jit, variables=True)", "@nnx.jit"),
    ("@nn.remat", "@remat"),
    ("@functools.partial(nn.remat, static_argnums=(2,), prevent_cse=False)", "@functools.partial(remat, prevent_cse=False)"),
  ],
)  # fmt: skip
def test_lifted_methods(tmp_path, decorator, wanted):
  ported = port_and_check(
    tmp_path,
    f"""
    class Model(nn.Module):
      {decorator}
      @nn.compact
      def __call__(self, x, twice=False):
        return nn.Dense(7)(x + x)
    """,
    "Model(), x(2, 5), True",
  )
  assert f"  {wanted}\n  def __call__" in ported.text


def test_other_decorators_stay(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    def twice(function):
      @functools.wraps(function)
      def run(self, x):
        return 2 * function(self, x)
      return run

    class Model(nn.Module):
      @twice
      @nn.compact
      def __call__(self, x):
        return nn.Dense(7)(x)

      @staticmethod
      @functools.partial(jax.jit, static_argnums=(0,))
      def other(n, x):
        return x * n
    """,
    "Model(), x(2, 5)",
  )
  assert "  @twice\n  def __call__" in ported.text
  assert "  @functools.partial(jax.jit, static_argnums=(0,))\n" in ported.text


def test_method_that_returns_early_and_makes_nothing(tmp_path):
  source = """
    class Model(nn.Module):
      kind: str = "layer"

      def norm(self):
        if self.kind == "layer":
          return nn.LayerNorm
        elif self.kind == "batch":
          return functools.partial(nn.BatchNorm, use_running_average=True)
        return functools.partial(nn.GroupNorm, num_groups=2)

      @nn.compact
      def __call__(self, x):
        norm = self.norm()
        x = nn.Dense(6)(x)
        x = norm()(x)
        return nn.Dense(3)(x)
    """
  examples = ["Model(), x(4, 5)", 'Model("batch"), x(4, 5)']
  port_and_check(tmp_path, source, *examples, held_out=['Model("group"), x(4, 7)'])


def test_comment_between_a_decorator_and_its_method_stays(tmp_path):
  source = """
    class Model(nn.Module):
      # above
      @nn.compact
      # copied from elsewhere
      def __call__(self, x):
        return nn.Dense(3)(x)

      @property
      # second
      @functools.cache
      # third
      def width(self):
        return 3
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "  # above\n  # copied from elsewhere\n  def __call__(self, x):\n" in ported.text
  assert "  @property\n  # second\n  @functools.cache\n  # third\n  def width(self):\n" in ported.text
