"""Layers inside others: their sizes, and what the others keep for their parameters."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check


@pytest.mark.parametrize("layer", ["nn.SpectralNorm", "nn.WeightNorm"])
def test_variables_for_the_parameters_of_a_wrapped_layer(tmp_path, layer):
  update = ", update_stats=False" if "Spectral" in layer else ""
  source = f"""
    class Block(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(4, name="inner")(nn.relu(x))

    class Model(nn.Module):
      def setup(self):
        self.last = {layer}(nn.Dense(2))

      @nn.compact
      def __call__(self, x):
        x = {layer}(nn.Dense(5))(x{update})
        x = {layer}(nn.Conv(3, (2,), name="conv"))(x[:, None]{update})[:, 0]
        x = {layer}(Block())(x{update})
        return self.last(x{update})
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=["Model(), x(3, 5)"])
  kept = {s: t for s, t in ported.moves.items() if "Norm_0" in s}
  if "Spectral" in layer:
    assert kept["batch_stats/SpectralNorm_0/Dense_0/kernel/u"] == "spectral_norm/u/kernel"
    assert ported.moves["batch_stats/SpectralNorm_2/Block_0/inner/kernel/sigma"] == "spectral_norm_2/sigma/inner/kernel"
  else:
    assert kept["params/WeightNorm_0/Dense_0/kernel/scale"] == "weight_norm/scales/kernel"


@pytest.mark.parametrize(
  ("layer", "made"),
  [
    ("nn.WeightNorm(nn.Dense(4 + i))(x)", "nnx.Linear(x_features, 4 + i, rngs=rngs)"),
    ("nn.SpectralNorm(nn.Dense(4 + i))(x, update_stats=False)", "nnx.Linear(x_features, 4 + i, rngs=rngs)"),
    ("nn.RNN(nn.SimpleCell(4 + i))(x)", "nnx.SimpleCell(x_features, 4 + i, "),
  ],
)
def test_sizes_of_layers_inside_others_go_through_loops(tmp_path, layer, made):
  source = f"""
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        for i in range(3):
          x = nn.relu({layer})
        return nn.Dense(2)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3, 6)", held_out=["Model(), x(2, 4, 5)"])
  assert made in " ".join(ported.text.split()).replace("( ", "(").replace(", )", ")")
  assert ported.hoisted == []
