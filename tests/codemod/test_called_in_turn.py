"""Lists of layers that a loop calls in turn: [migrate/codemod/called_in_turn.py](../../migrate/codemod/called_in_turn.py)."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

SOURCE = """
  class Model(nn.Module):
    outs: Any  # no name of a list of features: no other example gets a second

    def setup(self):
      self.layers = [nn.Dense(n) for n in self.outs]
      self.last = nn.Dense(3)

    def __call__(self, x):
      {}
        {}
      return self.last(x)
"""
LOOPS = ["for layer in self.layers:", "for i, layer in enumerate(self.layers):"]
ROUNDS = ["x = nn.relu(layer(x))", "y = layer(x)\n        x = nn.relu(y)", "x = layer(x)\n        x += 1"]


@pytest.mark.parametrize("round", ROUNDS)
@pytest.mark.parametrize("loop", LOOPS)
def test_one_layer_in_the_list_is_followed_by_others_of_its_width(tmp_path, loop, round):
  source = SOURCE.format(loop, round)
  ported = port_and_check(tmp_path, source, "Model((7,)), x(2, 13)", held_out=["Model((3, 11)), x(2, 5)"])
  assert "layers_features = n" in ported.text
  assert "self.last = nnx.Linear(layers_features, 3, rngs=rngs)" in ported.text


def test_layers_taken_by_number_are_called_in_turn(tmp_path):
  source = SOURCE.format("for i in range(len(self.outs)):", "x = self.layers[i](x)")
  port_and_check(tmp_path, source, "Model((7,)), x(2, 13)", held_out=["Model((3, 11)), x(2, 5)"])


def test_layers_that_all_take_the_input_are_no_row(tmp_path):
  source = """
    class Model(nn.Module):
      outs: Any

      def setup(self):
        self.layers = [nn.Dense(n) for n in self.outs]

      def __call__(self, x):
        y = 0
        for layer in self.layers:
          y += layer(x).sum(-1)
        return y
    """
  ported = port_and_check(tmp_path, source, "Model((7,)), x(2, 13)", held_out=["Model((3, 11)), x(2, 5)"])
  assert "nnx.Linear(in_features, n, rngs=rngs)" in ported.text


@pytest.mark.parametrize(
  "made",
  [
    "self.layers = [nn.Dense(w) for w in self.widths]",
    "layers = []\n      for w in self.widths:\n        layers.append(nn.Dense(w))\n      self.layers = layers",
  ],
)
def test_the_first_layer_takes_what_stands_before_the_loop(tmp_path, made):
  source = f"""
  class Model(nn.Module):
    hidden: int = 4
    widths: Sequence[int] = (5, 7)

    def setup(self):
      self.first = nn.Dense(self.hidden)
      {made}

    def __call__(self, x):
      x = nn.relu(self.first(x))
      for layer in self.layers:
        x = nn.relu(layer(x))
      return x
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(6, (3, 2, 8)), x(2, 4)"])
  assert "    layers_features = self.hidden\n" in ported.text
  assert ported.hoisted == []


def test_a_size_that_nothing_before_the_loop_tells_is_an_argument(tmp_path):
  source = """
  class Model(nn.Module):
    widths: Sequence[int] = (5, 7)

    def setup(self):
      self.layers = [nn.Dense(w) for w in self.widths]

    def __call__(self, x):
      x = jnp.fft.rfft(x).real
      for layer in self.layers:
        x = layer(x)
      return x
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 9)")
  assert ported.hoisted == ["layers_in_features"]


def test_a_layer_with_two_inputs_takes_each_from_its_own(tmp_path):
  source = """
  class Block(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x, context):
      return nn.Dense(self.width)(x) + nn.Dense(self.width)(context)

  class Model(nn.Module):
    hidden: int = 4
    depth: int = 2

    def setup(self):
      self.first = nn.Dense(self.hidden)
      self.layers = [Block(self.hidden) for _ in range(self.depth)]

    def __call__(self, x, context):
      x = self.first(x)
      for layer in self.layers:
        x = layer(x, context)
      return x
  """
  ported = port_and_check(
    tmp_path,
    source,
    "Model(), x(2, 3), x(2, 5)",
    held_out=["Model(6, 3), x(2, 4), x(2, 7)", "Model(6, 1), x(2, 4), x(2, 7)"],
  )
  assert ported.hoisted == []
