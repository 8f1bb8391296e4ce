"""Functions that make layers and that another function defines, as fields hold them."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

MODEL = """
class Encoder(nn.Module):
  width: int

  @nn.compact
  def __call__(self, x):
    return nn.tanh(nn.Dense(self.width)(x))


def plain_head(width):
  # what it makes

  def call():
    # inside
    return nn.Dense(width, name="logits")

  return call


def lambda_head(width, act=nn.relu):
  double = 2 * width
  return lambda: nn.Sequential([nn.Dense(double), act])


def list_head(widths) -> Callable:
  \"\"\"Layers, one after another.\"\"\"
  if not widths:
    widths = [3]

  def call() -> nn.Module:
    return nn.Sequential([nn.Dense(int(w), name=f"layer_{i}") for i, w in enumerate(widths)] + [nn.relu, nn.Dense(4)])

  return call


class Model(nn.Module):
  head: Callable

  @nn.compact
  def __call__(self, x):
    return self.head()(nn.Dense(5)(x))


class Setup(nn.Module):
  head: Callable

  def setup(self):
    self.body = nn.Dense(5)
    self.last = self.head()

  def __call__(self, x):
    return self.last(self.body(x))
"""


@pytest.mark.parametrize("model", ["Model", "Setup"])
def test_function_returned_by_a_function(tmp_path, model):
  ported = port_and_check(
    tmp_path, MODEL, f"{model}(plain_head(3)), x(2, 7)", held_out=[f"{model}(plain_head(4)), x(2, 6)"]
  )
  head = ported.text.partition("def plain_head")[2].partition("\n\n\n")[0]
  assert head.startswith("(width):\n  # what it makes\n\n  def call(in_features, *, rngs):\n    # inside\n")
  assert "return nnx.Linear(in_features, width, rngs=rngs)" in head
  assert ported.hoisted == []


def test_lambda_returned_by_a_function(tmp_path):
  ported = port_and_check(
    tmp_path, MODEL, "Model(lambda_head(3)), x(2, 7)", held_out=["Model(lambda_head(4)), x(2, 6)"]
  )
  assert "return lambda in_features, *, rngs: nnx.Sequential(" in ported.text
  assert "double = 2 * width" in ported.text


def test_row_of_layers_in_a_function_returned(tmp_path):
  ported = port_and_check(
    tmp_path, MODEL, "Model(list_head((3, 7))), x(2, 7)", held_out=["Model(list_head((4, 2, 9))), x(2, 6)"]
  )
  assert (
    "def call(in_features: int, *, rngs: nnx.Rngs)" in ported.text or "def call(in_features, *, rngs)" in ported.text
  )
  assert '"""Layers, one after another."""' in ported.text


def test_lambda_of_the_example(tmp_path):
  source = (
    MODEL
    + """
def with_encoder():
  return Model(lambda: Encoder(3))


def with_row():
  return Setup(lambda: nn.Sequential([Encoder(3), nn.relu, nn.Dense(4)]))
"""
  )
  port_and_check(tmp_path, source, "with_encoder(), x(2, 7)")
  port_and_check(tmp_path, source, "with_row(), x(2, 7)")


def test_function_that_makes_no_layer_stays(tmp_path):
  source = """
    def activation(slope):
      return lambda x: nn.leaky_relu(x, slope)

    class Model(nn.Module):
      act: Callable

      @nn.compact
      def __call__(self, x):
        return self.act(nn.Dense(5)(x))
    """
  ported = port_and_check(tmp_path, source, "Model(activation(0.3)), x(2, 7)")
  assert "rngs" not in ported.text.partition("class Model")[0].partition("def activation")[2]
