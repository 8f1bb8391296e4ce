"""Functions that a call hands to a module and layers are made with."""

from __future__ import annotations

from tests.codemod.support import port_and_check

_BLOCK = """
  class Layer(nn.Module):
    width: int
    activation: Any

    @nn.compact
    def __call__(self, x):
      return self.activation(nn.Dense(self.width)(x))

  class Block(nn.Module):
    depth: int

    @nn.compact
    def __call__(self, x, activation):
      def layer(width):
        return Layer(width, activation)

      for _ in range(self.depth):
        x = layer(6)(x)
      return x
  """


def test_caller_gives_the_function_to_the_constructor_as_well(tmp_path):
  source = (
    _BLOCK
    + """
  class Model(nn.Module):
    kind: str

    @nn.compact
    def __call__(self, x):
      if self.kind == "relu":
        activation = nn.relu
      else:
        activation = nn.tanh
      return Block(2)(x, activation)
  """
  )
  ported = port_and_check(tmp_path, source, 'Model("tanh"), x(2, 5)', held_out=['Model("relu"), x(2, 4)'])
  assert "activation: Callable" in ported.text
  assert "from collections.abc import Callable" in ported.text
  assert ported.hoisted == []


def test_function_of_the_model_itself_is_an_argument(tmp_path):
  ported = port_and_check(tmp_path, _BLOCK, "Block(2), x(2, 5), nn.tanh")
  assert "activation: Callable" in ported.text
