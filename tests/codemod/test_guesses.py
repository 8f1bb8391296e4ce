"""Sizes of layers that no example runs."""

from __future__ import annotations

import re

from tests.codemod.support import port_and_check

_STACK = """
  class Attention(nn.Module):
    width: int

    def setup(self):
      self.query = nn.Dense(self.width)
      self.key = nn.Dense(self.width)

    def __call__(self, x, other=None):
      if other is not None:
        key = self.key(other)
      else:
        key = self.key(x)
      return self.query(x) + key.mean(1, keepdims=True)

  class Layer(nn.Module):
    width: int

    def setup(self):
      self.own = Attention(self.width)
      self.cross = Attention(self.width)

    def __call__(self, x, other=None, double=False):
      x = self.own(x)
      if other is not None:
        x = self.cross(x, other)
      return 2 * x if double else x

  class Stack(nn.Module):
    width: int
    chunk_size: int = 0
    save_memory: bool = False

    def setup(self):
      if self.save_memory:
        Saving = nn.remat(Layer, static_argnums=(3,))
        self.layers = [Saving(self.width, name=str(i)) for i in range(2)]
      else:
        self.layers = [Layer(self.width, name=str(i)) for i in range(2)]

    def __call__(self, x, other=None):
      for layer in self.layers:
        x = layer(x, other, True)
      return x
  """


def test_layers_of_the_branch_that_no_example_takes_have_the_sizes_of_the_other(tmp_path):
  args = "x(2, 5, 12), x(2, 7, 12)"
  ported = port_and_check(tmp_path, _STACK, f"Stack(12, save_memory=True), {args}")
  stack = ported.text.partition("class Stack")[2]
  made = ["".join(given.split()) for given in re.findall(r"(?:Saving|Layer)\(([^()]*)rngs=rngs", stack)]
  assert len(made) == 2
  assert len(set(made)) == 1
  assert "chunk" not in made[0]


def test_zero_is_no_size(tmp_path):
  source = """
    class Model(nn.Module):
      hidden_features: int
      chunk_features: int = 0
      tied: bool = True

      def setup(self):
        self.body = nn.Dense(self.hidden_features)
        if not self.tied:
          self.head = nn.Dense(7)

      def __call__(self, x):
        x = self.body(x)
        return x if self.tied else self.head(x)
    """
  ported = port_and_check(tmp_path, source, "Model(5), x(2, 3)")
  assert "chunk_features, 7" not in ported.text
