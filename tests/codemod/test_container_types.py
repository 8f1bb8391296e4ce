"""Questions for the type of a container of layers."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_lists_of_layers_beside_layers_and_the_question_which_is_which(tmp_path):
  source = """
    class Model(nn.Module):
      rows: Sequence[Any] = (6, (5, 5), 4)

      def setup(self):
        layers = []
        for row in self.rows:
          if isinstance(row, (list, tuple)):
            layers.append([nn.Dense(6) for _ in row])
          else:
            layers.append(nn.Dense(6))
        self.layers = layers
        self.stem = nn.Dense(6)
        self.heads = {"a": nn.Dense(2)}

      def __call__(self, x):
        x = self.stem(x)
        for layer in self.layers:
          if isinstance(layer, (list, tuple)):
            x = sum(inner(x) for inner in layer)
          else:
            x = layer(x)
        return x if isinstance(self.heads, dict) else self.heads["a"](x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert "if isinstance(layer, (list, tuple, nnx.List)):" in ported.text
  assert "if isinstance(row, (list, tuple)):" in ported.text  # numbers, as they were
  assert "if isinstance(part, list) else part for part in layers" in ported.text
  assert "isinstance(self.heads, dict)" in ported.text  # never true of Linen's frozen dict


def test_other_questions_stay(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, more=(1, 2)):
        x = nn.Dense(3)(x)
        if isinstance(more, tuple) and not isinstance(x, dict):
          x = x * len(more)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert "if isinstance(more, tuple) and not isinstance(x, dict):" in ported.text


def test_fields_that_hold_one_module_or_several(tmp_path):
  source = """
    class Model(nn.Module):
      encoders: Any

      def setup(self):
        if isinstance(self.encoders, (list, tuple)):
          self.parts = self.encoders
        else:
          self.parts = [self.encoders]

      def __call__(self, x):
        return sum(part(x) for part in self.parts)
    """
  ported = port_and_check(tmp_path, source, "Model([nn.Dense(3), nn.Dense(3)]), x(2, 4)")
  assert "if isinstance(self.encoders, (list, tuple, nnx.List)):" in ported.text


def test_lists_of_layers_are_joined(tmp_path):
  source = """
  class Model(nn.Module):
    width: int = 5

    def setup(self):
      self.down = [nn.Dense(self.width) for _ in range(2)]
      self.up = [nn.Dense(self.width), nn.LayerNorm()]
      self.sizes = (1, 2)

    def __call__(self, x):
      for layer in self.down + self.up + (nn.relu,):
        x = layer(x)
      return x * (self.sizes + (3,))[-1]
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(7), x(2, 4)"])
  assert "for layer in [*self.down, *self.up, nnx.relu]:" in ported.text
  assert "(self.sizes + (3,))[-1]" in ported.text
