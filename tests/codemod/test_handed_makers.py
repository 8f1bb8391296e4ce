"""Functions that make layers and that another module calls."""

from __future__ import annotations

import pytest

from tests.codemod.support import rewrite

SOURCE = """
  class Graph(nn.Module):
    update: Callable

    @nn.compact
    def __call__(self, x):
      return self.update(jnp.tanh(x))

  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      DEFINED
      return Graph(GIVEN)(x)
  """


@pytest.mark.parametrize(
  ("defined", "given"),
  [
    ("pass", "update=lambda e: nn.LayerNorm()(nn.Dense(8)(e))"),
    ("update = lambda e: nn.Dense(8)(e)", "update"),
    ("def update(e):\n        return nn.Dense(8)(e)\n", "update"),
  ],
)
def test_function_with_layers_is_told(tmp_path, defined, given):
  ported = rewrite(tmp_path, SOURCE.replace("DEFINED", defined).replace("GIVEN", given), "Model(), x(2, 5)")
  assert any("hands over a function that makes layers" in f.found for f in ported.findings)


def test_function_without_layers_is_handed_over(tmp_path):
  source = SOURCE.replace("DEFINED", "pass").replace("GIVEN", "update=lambda e: nn.relu(e) * 2")
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  assert ported.findings == []
