"""Functions that `nn.scan` runs with one set of parameters."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

_STEP = """
class Model(nn.Module):
  features: int = 4

  @nn.compact
  def __call__(self, xs):
    def step({name}, carry, x):
      carry = nn.LayerNorm()(nn.tanh(nn.Dense({name}.features, name="cell")(jnp.concatenate([carry, x], -1))))
      return carry, carry @ {name}.param("out", nn.initializers.normal(), ({name}.features, 2))

    scan = nn.scan(step, {variables}, split_rngs={{"params": False}}, in_axes=1, out_axes=1)
    carry, ys = scan(self, jnp.zeros((xs.shape[0], self.features)), xs)
    return nn.Dense(3)(ys), carry
"""


@pytest.mark.parametrize("name", ["self", "module"])
def test_layers_of_a_step_are_made_once(tmp_path, name):
  source = _STEP.format(name=name, variables='variable_broadcast="params"')
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5, 3)", held_out=["Model(6), x(2, 4, 3)"])
  assert f"{name}.layer_norm(nnx.tanh({name}.cell(jnp.concatenate([carry, x], -1))))" in ported.text
  assert "nnx.scan(step, in_axes=(None, nnx.Carry, 1), out_axes=(nnx.Carry, 1))" in ported.text


def test_step_with_parameters_of_its_own_is_left(tmp_path):
  source = """
  class Model(nn.Module):
    features: int = 4

    @nn.compact
    def __call__(self, x):
      def step(module, carry, _):
        return nn.relu(nn.Dense(module.features)(carry)), None

      scan = nn.scan(step, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
      return scan(self, x, None)[0]
  """
  findings = rewrite(tmp_path, source, "Model(), x(2, 4)").findings
  assert any("flax.linen.scan of a function" in str(f) for f in findings)
