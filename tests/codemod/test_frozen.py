"""Lists that Linen keeps as tuples."""

from __future__ import annotations

import pytest

from migrate.codemod.frozen import are_lists, as_pairs, as_tuple, frozen
from tests.codemod.support import port_and_check


@pytest.mark.parametrize(
  ("text", "wanted"),
  [
    ("[3, 3]", "(3, 3)"),
    ("[3]", "(3,)"),
    ("[3,]", "(3,)"),
    ("[]", "()"),
    ("[[1, 1], (2, [2])]", "((1, 1), (2, (2,)))"),
    ("[\n  1,  # one\n  2,\n]", "(\n  1,  # one\n  2,\n)"),
    ("[n * 2 for n in sizes]", "tuple(n * 2 for n in sizes)"),
    ("[sizes[0], max([1, 2])]", "(sizes[0], max([1, 2]))"),
    ("sizes", "tuple(sizes)"),
    ("list(self.sizes)", "tuple(self.sizes)"),
    ("list(self.sizes) + [1, self.out]", "(*self.sizes, 1, self.out)"),
    ("[first] + list(sizes) + [last]", "(first, *sizes, last)"),
    ("sizes + [1]", "tuple(sizes + [1])"),
    ("list(map(int, sizes))", "tuple(list(map(int, sizes)))"),
    ("list(a) + [  # one\n  1]", "tuple(list(a) + [  # one\n  1])"),
    ("('é', ['é'])", "('é', ('é',))"),
  ],
)
def test_list_becomes_a_tuple(text, wanted):
  assert as_tuple(text) == wanted


def test_lists_of_layers_are_none_of_them():
  import flax.linen as nn

  assert are_lists([[1, 2], [3]])
  assert not are_lists([])
  assert not are_lists([[1], (2,)])
  assert not are_lists([[nn.Dense(2)]])


def test_lists_given_to_modules_are_tuples_there(tmp_path):
  source = """
    class Block(nn.Module):
      kernel: Sequence[int]
      rate: Sequence[float] = (1.0,)

      def setup(self):
        self.more = [2, 3]

      @nn.compact
      def __call__(self, x):
        w = self.param("w", nn.initializers.normal(), self.kernel + (x.shape[-1], 4))
        x = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return nn.Conv(5, [3, 3], padding=[[1, 1], [2, 2]])(x) * self.rate[0] * (self.more + (1,))[2]


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        kernel = [3, 3]
        x = Block([3, 1], rate=[2.0])(x)
        return Block(kernel)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5, 6, 4)", held_out=["Model(), x(2, 6, 5, 3)"])
  assert "Block(in_features, (3, 1), rate=(2.0,), rngs=rngs)" in ported.text
  assert "tuple(kernel)" in ported.text
  assert "[3, 3], padding=((1, 1), (2, 2))" in ported.text
  assert "self.more = (2, 3)" in ported.text


def test_pairs_of_a_name_that_may_be_a_word():
  assert as_pairs("[[1, 0], [0, 1]]") == "((1, 0), (0, 1))"
  assert as_pairs("padding") == "padding if isinstance(padding, str) else tuple(map(tuple, padding))"
  assert as_pairs("[(p, p) for p in ps]") == "tuple((p, p) for p in ps)"


def test_fields_are_given_as_the_methods_see_them():
  assert frozen([[1, 0], [0, [2]]]) == ((1, 0), (0, (2,)))
  assert frozen({"a": [1]}) == {"a": [1]}
  assert frozen("ab") == "ab"


def test_padding_as_lists(tmp_path):
  source = """
    def conv(features, padding):
      padding = padding if isinstance(padding, str) else [[padding, padding] for _ in range(2)]
      return nn.Conv(features, (3, 3), padding=padding)

    class Model(nn.Module):
      pads: Any

      @nn.compact
      def __call__(self, x):
        x = nn.Conv(4, (3, 3), padding=self.pads)(x)
        return conv(2, 1)(x)
    """
  port_and_check(tmp_path, source, "Model([[1, 0], [0, 1]]), x(2, 5, 5, 3)", held_out=["Model('VALID'), x(2, 5, 5, 3)"])
