"""Constructor arguments for what nothing else tells, and what tells sizes before that."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check


def test_size_that_nothing_tells_is_an_argument_named_after_its_layer(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, inputs):
        return nn.Dense(3, name="head")(inputs[0].reshape(2, -1))
    """
  ported = port_and_check(tmp_path, source, "Model(), (x(2, 5, 7), x(2, 3))")
  assert ported.hoisted == ["head_in_features"]


def test_argument_is_not_named_after_its_layer_twice(tmp_path):
  source = """
    class Step(nn.Module):
      @nn.compact
      def __call__(self, state, x):
        return nn.LSTMCell(state[0].shape[-1])((state[0], state[1]), x)


    class Model(nn.Module):
      @nn.compact
      def __call__(self, inputs):
        return Step(name="lstm")(inputs[0], inputs[1])
    """
  ported = port_and_check(tmp_path, source, "Model(), ((x(2, 5), x(2, 5)), x(2, 7))")
  assert sorted(ported.hoisted) == ["lstm_cell_features", "lstm_cell_features", "lstm_in_features"]


def test_halves_that_were_joined_are_twice_the_width(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 8

      def setup(self):
        self.first = [nn.Dense(self.width) for _ in range(2)]
        self.up = [nn.Dense(self.width) for _ in range(2)]

      def __call__(self, x):
        skips = []
        for layer in self.first:
          x = layer(x)
          skips.append(x)
        for layer in self.up:
          x = layer(jnp.concatenate([x, skips.pop()], axis=-1))
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 8)", "Model(6), x(2, 6)")
  assert "2 * self.width" in ported.text
  assert ported.hoisted == []


def test_layers_appended_in_a_loop_take_their_sizes_one_by_one(tmp_path):
  source = """
    class Model(nn.Module):
      count: int

      @nn.compact
      def __call__(self, inputs):
        layers = []
        for i in range(self.count):
          layers.append(nn.Dense(4))
        widths = iter(inputs["widths"])
        return sum(layer(jnp.concatenate([inputs["x"], next(widths)], -1)).sum() for layer in layers)
    """
  example = 'Model(3), {"x": x(2, 5), "widths": [x(2, 1), x(2, 4), x(2, 7)]}'
  ported = port_and_check(tmp_path, source, example)
  assert "_features[i]" in ported.text


@pytest.mark.parametrize("target", ["_", "i"])
def test_layers_of_functions_that_a_loop_hands_over(tmp_path, target):
  source = f"""
    def both(first, second, x):
      return second(first(x))

    class Model(nn.Module):
      width: int = 5
      steps: int = 2

      @nn.compact
      def __call__(self, x):
        for {target} in range(self.steps):
          x = both(lambda e: nn.Dense(self.width)(e), lambda n: nn.relu(nn.Dense(self.width + 1)(n)), x)
        return x
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert (
    "    for i in range(self.steps):\n      self.dense.append(nnx.Linear(dense_in_features[i], self.width"
    in ported.text
  )
