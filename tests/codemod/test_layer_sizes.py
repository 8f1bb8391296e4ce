"""Sizes of what layers return, from the arguments that they are made with."""

from __future__ import annotations

import pytest

from migrate.codemod.layer_sizes import _item
from tests.codemod.support import port_and_check


@pytest.mark.parametrize(
  ("text", "axis", "wanted"),
  [
    ("[self.heads, n]", 1, "n"),
    ("(self.heads, n)", 2, "self.heads"),
    ("(n,)", 2, None),
    ("(*a, n)", 1, "n"),
    ("self.widths", 1, "self.widths[-1]"),
    ("f(x)", 1, None),
  ],
)
def test_items_of_a_written_tuple(text, axis, wanted):
  assert _item(text, axis) == wanted


def test_features_of_a_partial_are_the_sizes_of_what_it_returns(tmp_path):
  source = """
    class Attention(nn.Module):
      query_dim: int
      heads: int = 4
      dim_head: int = 5

      def setup(self):
        dense = functools.partial(nn.DenseGeneral, features=[self.heads, self.dim_head], axis=-1, use_bias=False)
        self.query = dense(name="to_q")
        self.value = dense(name="to_v")
        self.proj = nn.DenseGeneral(self.query_dim, axis=(-2, -1), name="to_out_0")

      def __call__(self, x):
        return self.proj(nn.dot_product_attention(self.query(x), self.query(x), self.value(x)))


    class Flat(nn.Module):
      heads: int
      dim_head: int

      @nn.compact
      def __call__(self, x):
        dense = functools.partial(nn.Dense, self.heads * self.dim_head, use_bias=False)
        return nn.Dense(5)(dense()(x) * dense()(x))


    class Model(nn.Module):
      widths: Sequence[int] = (6, 10)

      @nn.compact
      def __call__(self, x):
        for w in self.widths:
          x = nn.Dense(w)(x)
          if w > 6:
            x = x + Attention(w, heads=3, dim_head=w // 2)(x)
        return Flat(2, 7)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3, 11)", held_out=["Model((8, 9, 6)), x(2, 3, 4)"])
  assert ported.hoisted == []


def test_field_that_goes_along_with_a_size_gives_it(tmp_path):
  source = """
    class Attention(nn.Module):
      heads: int
      dim_head: int

      def setup(self):
        self.query = nn.DenseGeneral((self.heads, self.dim_head))
        self.out = nn.DenseGeneral(5, axis=(-2, -1))

      def __call__(self, x):
        return self.out(self.query(x))


    class Rotated(Attention):
      def __call__(self, x):
        q = self.query(x)
        return self.out(jnp.concatenate([-q[..., 1:], q[..., :1]], axis=-1))


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Rotated(3, 2)(x) + Rotated(2, 4)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5, 6)")
  assert ported.hoisted == ["query_in_features"]  # nothing in the class that makes it tells this one


def test_index_of_one_comprehension_means_something_else_in_another(tmp_path):
  source = """
    class Block(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x, t):
        return nn.Dense(self.width)(x) + nn.Dense(self.width)(t)


    class Model(nn.Module):
      widths: Sequence[int] = (5, 7)

      def setup(self):
        self.times = [nn.Dense(self.widths[i]) for i in range(len(self.widths))]
        self.blocks = [[Block(self.widths[s]) for i in range(2)] for s in range(len(self.widths))]

      def __call__(self, x, t):
        for s in range(len(self.widths)):
          for block in self.blocks[s]:
            x = block(x, self.times[s](t))
        return x
    """
  port_and_check(tmp_path, source, "Model(), x(2, 3), x(2, 4)", "Model((6, 6)), x(2, 3), x(2, 4)")
