"""Loops that a method leaves under a condition which `__init__` knows, and under one that only a call knows."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check


def test_rounds_that_are_passed_over_make_no_layers(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      widths: tuple

      @nn.compact
      def __call__(self, x):
        for i, w in enumerate(self.widths):
          x = nn.Dense(w)(x)
          if i % 2 == 0:
            continue
          x = jnp.concatenate([nn.LayerNorm()(x), x], -1)
        return nn.Dense(3)(x)
    """,
    "Model((7, 5, 11)), x(2, 6)",
    held_out=["Model((2, 3, 5, 7)), x(2, 11)"],
  )
  assert ported.hoisted == []
  assert "if i % 2 == 0:\n        x_features = w\n        continue\n" in ported.text


@pytest.mark.parametrize("leave", ["break", "return nn.Dense(2)(x)"])
def test_loop_that_ends_early_makes_no_more_layers(tmp_path, leave):
  ported = port_and_check(
    tmp_path,
    f"""
    class Model(nn.Module):
      widths: tuple
      stop: int = 1

      @nn.compact
      def __call__(self, x):
        for i, w in enumerate(self.widths):
          x = nn.tanh(nn.Dense(w)(x))
          if i == self.stop:
            {leave}
        return nn.Dense(3)(x)
    """,
    "Model((7, 5, 11)), x(2, 6)",
    held_out=["Model((2, 3, 5, 7)), x(2, 11)"] if leave == "break" else [],
  )
  assert ported.hoisted == []
  assert len(ported.moves) == 6  # of two rounds, and what follows


def test_while_loop_that_breaks(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      n: int = 9

      @nn.compact
      def __call__(self, x):
        n = self.n
        while True:
          x = nn.Dense(n)(x)
          n = n // 2
          if n < 2:
            break
        return x
    """,
    "Model(), x(2, 6)",
    held_out=["Model(21), x(2, 5)"],
  )
  assert "n = n // 2\n      if n < 2:\n        break\n" in ported.text


def test_what_only_a_call_knows_leaves_nothing_out(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      widths: tuple = (7, 5)
      brief: bool = True

      @nn.compact
      def __call__(self, x, train=False):
        for i, w in enumerate(self.widths):
          x = nn.Dense(w)(x)
          if self.brief and train:
            continue
          x = nn.LayerNorm()(x)
        return x
    """,
    "Model(), x(2, 6)",
  )
  assert "continue" not in ported.text.partition("def __call__")[0]
