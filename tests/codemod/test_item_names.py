"""Items of a field by name: [migrate/codemod/item_names.py](../../migrate/codemod/item_names.py)."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

SOURCE = """
  class Model(nn.Module):
    sizes: Any

    def setup(self):
      self.layers = [nn.Dense(n) for n in self.sizes]
      self.norms = [nn.LayerNorm() for {} in {}]

    def __call__(self, x):
      for layer, norm in zip(self.layers, self.norms):
        x = nn.relu(norm(layer(x)))
      return x
"""


def test_sizes_of_layers_that_a_comprehension_makes_are_the_items_it_goes_through(tmp_path):
  ported = port_and_check(
    tmp_path, SOURCE.format("_", "self.sizes"), "Model((7, 5)), x(2, 13)", held_out=["Model((3, 11, 2)), x(2, 5)"]
  )
  assert "nnx.LayerNorm(n, rngs=rngs)\n" in ported.text
  assert ported.text.count("for n in self.sizes") == 2


def test_items_that_are_counted_are_taken_by_number(tmp_path):
  source = SOURCE.format("_", "range(len(self.sizes))")
  ported = port_and_check(tmp_path, source, "Model((7, 5)), x(2, 13)", held_out=["Model((3, 11, 2)), x(2, 5)"])
  assert "nnx.LayerNorm(self.sizes[i], rngs=rngs)\n" in ported.text


def test_sizes_that_are_no_items_of_what_the_comprehension_goes_through_stay(tmp_path):
  source = SOURCE.format("_", "range(2)")
  ported = port_and_check(tmp_path, source, "Model((7, 5)), x(2, 13)", held_out=["Model((3, 11)), x(2, 5)"])
  assert "nnx.LayerNorm(self.sizes[len(self.norms)], rngs=rngs)" in ported.text


@pytest.mark.parametrize("target", ["i, size", "i, _"])
def test_items_that_are_numbered_are_the_second_of_the_two(tmp_path, target):
  source = SOURCE.format(target, "enumerate(self.sizes)").replace("LayerNorm()", 'LayerNorm(name=f"norm_{i}")')
  ported = port_and_check(tmp_path, source, "Model((7, 5)), x(2, 13)", held_out=["Model((3, 11, 2)), x(2, 5)"])
  assert "self.sizes[" not in ported.text
