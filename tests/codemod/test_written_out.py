"""Functions that are one layer and its call, written where they are called."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check


def test_layers_are_named_as_the_calls_name_them(tmp_path):
  source = """
    class Attention(nn.Module):
      heads: int = 2

      @nn.compact
      def __call__(self, x):
        # projections
        def dense(name, y, features, bias=True):
          return nn.DenseGeneral((self.heads, features // self.heads), use_bias=bias, name=name)(y)

        query = dense("query", x, 6)
        key = dense("key", x, 6)
        value = dense("value", x + 1, features=4, bias=False)
        weights = nn.softmax(jnp.einsum("qhd,khd->hqk", query, key))
        return jnp.einsum("hqk,khd->qhd", weights, value)
    """
  ported = port_and_check(tmp_path, source, "Attention(), x(3, 5)", held_out=["Attention(), x(2, 7)"])
  assert "query = self.query(x)\n" in ported.text
  assert "value = self.value(x + 1)\n" in ported.text
  assert "def dense" not in ported.text
  assert "# projections" in ported.text


def test_lambda_without_names(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        proj = lambda y, n: nn.Dense(n)(y)

        a = proj(x, 3)
        return proj(a, 4)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 6)"])
  assert "  def __call__(self, x):\n    a = self.proj(x)\n    return self.proj_1(a)\n" in ported.text


def test_branch_that_needs_one_of_them(tmp_path):
  source = """
    class Model(nn.Module):
      skip: bool

      @nn.compact
      def __call__(self, x):
        def conv(y, n):
          return nn.Dense(n)(y)

        h = nn.relu(conv(x, 4))
        if self.skip:
          h = h + conv(x, 4)
        return h
    """
  examples = ["Model(True), x(2, 5)", "Model(False), x(2, 5)"]
  ported = port_and_check(tmp_path, source, *examples, held_out=["Model(True), x(2, 6)"])
  assert "h = h + self.conv_1(x)\n" in ported.text


@pytest.mark.parametrize(
  "calls",
  [
    "for i in range(2):\n      x = dense(x)\n    return x",
    "return sum([dense(x) for _ in range(2)])",
    "return sum(map(dense, [x, x]))",
    "(lambda f: None)(dense)\n    return dense(x)",
  ],
)
def test_calls_in_rounds_and_functions_that_are_handed_on_keep_the_function(tmp_path, calls):
  source = f"""
class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    def dense(y):
      return nn.Dense(5)(y)

    {calls}
"""
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "def dense" in ported.text


def test_arguments_that_are_read_twice_keep_the_function(tmp_path):
  source = """
    class Scale(nn.Module):
      @nn.compact
      def __call__(self, x, y):
        return x * self.param("scale", nn.initializers.ones, (x.shape[-1],)) + y


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        def scale(y):
          return Scale()(y, y)

        return scale(jnp.sin(x)) + scale(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "def scale" in ported.text


def test_comment_inside_keeps_the_function(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        def dense(y):
          # no bias: a norm follows
          return nn.Dense(5, use_bias=False)(y)

        return dense(x) + dense(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "def dense" in ported.text
