"""Tables of functions that make layers."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

NORMS = """
  NORMS = {
    "layer": nn.LayerNorm,
    "group": lambda: nn.GroupNorm(num_groups=2),
    "none": lambda: (lambda x: x),
  }

  class Model(nn.Module):
    norm: str

    @nn.compact
    def __call__(self, x):
      return nn.Dense(2)(NORMS[self.norm]()(nn.Dense(6)(x)))
"""


@pytest.mark.parametrize(("norm", "other"), [("layer", "group"), ("group", "layer")])
def test_every_function_of_a_table_takes_sizes_and_rngs(tmp_path, norm, other):
  held_out = [f'Model("{other}"), x(2, 4)', 'Model("none"), x(2, 4)']
  ported = port_and_check(tmp_path, NORMS, f'Model("{norm}"), x(2, 3)', held_out=held_out)
  assert '"none": lambda *args, **kwargs: lambda x: x,' in ported.text
  assert '"group": lambda num_features, *, rngs: nnx.GroupNorm(num_features, num_groups=2, rngs=rngs),' in ported.text


def test_lambdas_on_one_line_and_with_parameters(tmp_path):
  source = """
    LAYERS = {"dense": lambda n: nn.Dense(n), "conv": lambda n: nn.Conv(n, (3,)), "cut": lambda n: lambda x: x[..., :n]}

    class Model(nn.Module):
      kind: str = "dense"

      @nn.compact
      def __call__(self, x):
        return LAYERS[self.kind](2)(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5, 3)", held_out=['Model("conv"), x(2, 5, 3)'])
  assert '"cut": lambda in_features, n, *, rngs: lambda x: x[..., :n]' in ported.text


def test_a_table_without_layers_stays(tmp_path):
  source = """
    SCALES = {"one": lambda: (lambda x: x), "two": lambda: (lambda x: 2 * x)}

    class Model(nn.Module):
      kind: str = "two"

      @nn.compact
      def __call__(self, x):
        return SCALES[self.kind]()(nn.relu(nn.Dense(3)(x)))
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=['Model("one"), x(2, 5)'])
  assert 'SCALES = {"one": lambda: (lambda x: x), "two": lambda: (lambda x: 2 * x)}' in ported.text
