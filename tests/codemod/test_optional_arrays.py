"""Parameters that `setup` makes in one branch, and None in another."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

_SETUP = """
class Model(nn.Module):
  features: int = 5
  use_bias: bool = True

  def setup(self):
    self.weight = self.param("weight", nn.initializers.lecun_normal(), (3, self.features))
    if self.use_bias:
      self.bias = self.param("bias", nn.initializers.normal(), (self.features,))
    else:
      self.bias = None
"""


@pytest.mark.parametrize("used", ["Model(), x(2, 3)", "Model(use_bias=False), x(2, 3)"])
@pytest.mark.parametrize("test", ["self.bias is not None", "None is not self.bias"])
def test_attribute_is_asked_for_itself(tmp_path, used, test):
  source = f"""{_SETUP}
  def __call__(self, x):
    x = x @ self.weight
    if {test}:
      x = x + self.bias
    return x
"""
  held_out = ["Model(7), x(2, 3)", "Model(7, use_bias=False), x(2, 3)"]
  ported = port_and_check(tmp_path, source, used, held_out=held_out)
  assert f"if {test}:\n      x = x + self.bias[...]" in ported.text
  assert "tree.map" not in ported.text


def test_attribute_that_is_handed_on_may_be_none(tmp_path):
  source = f"""{_SETUP}
  def __call__(self, x):
    return affine(x, self.weight, self.bias)


def affine(x, weight, bias=None):
  return x @ weight if bias is None else x @ weight + bias
"""
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(7, use_bias=False), x(2, 3)"])
  assert "self.weight[...], (None if self.bias is None else self.bias[...]))" in ported.text


def test_attribute_that_always_holds_a_parameter_is_read_as_before(tmp_path):
  source = """
  class Model(nn.Module):
    def setup(self):
      self.bias = self.param("bias", nn.initializers.normal(), (3,))

    def __call__(self, x):
      return jnp.add(x, self.bias)
  """
  assert "jnp.add(x, self.bias[...])" in port_and_check(tmp_path, source, "Model(), x(2, 3)").text
