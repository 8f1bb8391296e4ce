"""Comprehensions that make layers and call them."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

MODEL = """
class Model(nn.Module):
  heads: Sequence[int] = (3, 4)

  @nn.compact
  def __call__(self, x):
    return {text}
"""


@pytest.mark.parametrize(
  ("text", "wanted"),
  [
    ("[nn.Dense(h)(x) for h in self.heads]", "[dense(x) for dense in self.dense]"),
    ("[nn.Dense(h)(x) * h for h in self.heads]", "[dense(x) * h for dense, h in zip(self.dense, self.heads)]"),
    (
      "{i: nn.Dense(h)(x) for i, h in enumerate(self.heads)}",
      "{i: dense(x) for dense, (i, h) in zip(self.dense, enumerate(self.heads))}",
    ),
    ("sum(nn.Dense(4)(x) for _ in self.heads)", "sum(dense(x) for dense in self.dense)"),
    (
      "[nn.Dense(2)(nn.relu(nn.Dense(h)(x))) for h in self.heads]",
      "[dense(nnx.relu(dense_1(x))) for dense, dense_1 in zip(self.dense, self.dense_1)]",
    ),
    (
      "[nn.Dense(h)(x) for h in self.heads if h > 3]",
      "[dense(x) for dense, h in zip(self.dense, [h for h in self.heads if h > 3])]",
    ),
  ],
)
def test_layers_are_gone_through_beside_what_made_them(tmp_path, text, wanted):
  ported = port_and_check(tmp_path, MODEL.format(text=text), "Model(), x(2, 5)", held_out=["Model((7, 2, 9)), x(2, 3)"])
  assert wanted in ported.text


def test_joined_outputs_have_the_sum_of_their_sizes(tmp_path):
  text = "nn.Dense(2)(jnp.concatenate([nn.Dense(7)(x) for _ in self.heads], axis=-1))"
  ported = port_and_check(tmp_path, MODEL.format(text=text), "Model(), x(2, 5)", held_out=["Model(), x(2, 11)"])
  assert len(ported.hoisted) <= 1


def test_comprehension_inside_a_loop(tmp_path):
  source = """
    class Model(nn.Module):
      depth: int = 2

      @nn.compact
      def __call__(self, x):
        for _ in range(self.depth):
          x = sum([nn.Dense(5)(x) for _ in range(3)])
        return x
    """
  port_and_check(tmp_path, source, "Model(), x(2, 4)", held_out=["Model(3), x(2, 7)"])


def test_comprehension_without_layers_stays_as_it_is(tmp_path):
  text = "sum([x * h  for h in  self.heads]) + nn.Dense(5)(x)"
  assert "sum([x * h  for h in  self.heads])" in rewrite(tmp_path, MODEL.format(text=text), "Model(), x(2, 5)").text


def test_list_of_layers_in_the_header_of_a_loop(tmp_path):
  source = """
    class Model(nn.Module):
      sizes: Sequence[int]

      @nn.compact
      def __call__(self, x):
        for i, layer in enumerate([nn.Dense(n, name=f"layers_{i}") for i, n in enumerate(self.sizes)]):
          x = layer(x)
          if i != len(self.sizes) - 1:
            x = nn.relu(x)
        for head in [nn.Dense(4) for _ in range(2)]:
          x = head(x)
        return nn.Dense(3)(x)
    """
  ported = port_and_check(tmp_path, source, "Model((7, 6)), x(2, 5)", held_out=["Model((4, 3, 6)), x(2, 8)"])
  assert "for i, layer in enumerate(self.layers):" in ported.text
  assert "for head in self.dense:" in ported.text
  assert ported.rewriting.results[next(iter(ported.rewriting.results))].hoisted == []
