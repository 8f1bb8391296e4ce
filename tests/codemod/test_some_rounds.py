"""Layers that only some rounds of a loop make."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_a_norm_behind_conditions_has_the_width_of_its_round(tmp_path):
  source = """
    class Model(nn.Module):
      widths: Sequence[int] = (5, 7)
      norm: bool = True

      def setup(self):
        layers = []
        for i, w in enumerate(self.widths):
          layers.append(nn.Dense(w))
          if i != len(self.widths) - 1:
            if self.norm:
              layers.append(nn.LayerNorm())
            layers.append(nn.relu)
        self.net = nn.Sequential(layers)

      def __call__(self, x):
        return self.net(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", "Model((4, 6, 8)), x(2, 3)")
  assert "nnx.LayerNorm(w, rngs=rngs)" in ported.text


def test_a_norm_that_is_called_in_another_round_does_not_take_the_width_of_its_own(tmp_path):
  source = """
    class Model(nn.Module):
      widths: Sequence[int] = (5, 7)

      def setup(self):
        layers, norms = [], []
        for i, w in enumerate(self.widths):
          layers.append(nn.Dense(w))
          if i > 0:
            norms.append(nn.LayerNorm())
        self.layers = layers
        self.norms = norms

      def __call__(self, x):
        for i, layer in enumerate(self.layers):
          x = layer(self.norms[i - 1](x) if i > 0 else x)
        return x
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert "nnx.LayerNorm(w, rngs=rngs)" not in ported.text
