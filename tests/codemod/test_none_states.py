"""Arrays that are None before the first round of a loop gives them."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_what_the_round_before_left(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      widths: tuple

      @nn.compact
      def __call__(self, x):
        skip = None
        for w in self.widths:
          y = nn.Dense(w)(x)
          if skip is not None:
            y = y + nn.Dense(w, use_bias=False)(skip)
          skip = x
          x = nn.relu(y)
        return x
    """,
    "Model((3, 5, 11)), x(2, 6)",
    held_out=["Model((2, 7, 4, 5)), x(2, 13)"],
  )
  assert ported.hoisted == []
  assert "if skip_features is not None:\n        self.dense_1.append(nnx.Linear(skip_features, w," in ported.text
  assert "    skip = None\n" not in ported.text.partition("def __call__")[0]


def test_sum_that_the_first_round_begins(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      widths: tuple
      out: int

      @nn.compact
      def __call__(self, x):
        total = None
        for w in self.widths:
          y = nn.Dense(self.out)(nn.Dense(w)(x))
          if total is None:
            total = y
          else:
            total = nn.Dense(self.out)(jnp.concatenate([total, y], -1))
        return total
    """,
    "Model((3, 5, 11), 7), x(2, 6)",
    held_out=["Model((2, 7, 4, 5), 3), x(2, 13)"],
  )
  assert ported.hoisted == []
  assert "if total_features is None:" in ported.text


def test_argument_that_may_be_none_is_no_such_array(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      depth: int = 2

      @nn.compact
      def __call__(self, x, skip=None):
        for _ in range(self.depth):
          x = nn.Dense(7)(x)
          if skip is not None:
            x = x + skip
        return x
    """,
    "Model(), x(2, 6), x(2, 7)",
  )
  assert "skip_features" not in ported.text
