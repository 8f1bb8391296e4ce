"""Lists that Linen keeps as tuples."""

from __future__ import annotations

import pytest

from migrate.codemod.frozen import are_lists, as_tuple
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
