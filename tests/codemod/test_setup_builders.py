"""Methods that `setup` calls to make layers and parameters."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

_PARTS = """
class Model(nn.Module):
  features: int = 5
  use_bias: bool = True

  def setup(self):
    self._build_encoder()
    self._build_decoder(self.features * 3, scale=0.3)

  def _build_encoder(self) -> None:
    hidden = self.features * 2
    # what comes in
    self.first = nn.Dense(hidden, name="inner")
    self.second = nn.Dense(self.features)

  def _build_decoder(self, hidden, *, scale):
    \"\"\"Makes the decoder.\"\"\"
    self.weight = self.param("weight", nn.initializers.normal(scale), (self.features, hidden))
    self.layers = [nn.Dense(hidden) for _ in range(2)]
    self._build_bias(hidden)

  def _build_bias(self, hidden):
    if self.use_bias:
      self.bias = self.param("bias", nn.initializers.zeros, (hidden,))
    else:
      self.bias = None

  def encode(self, x):
    return self.second(nn.relu(self.first(x)))

  def __call__(self, x):
    x = self.encode(x) @ self.weight
    for layer in self.layers:
      x = layer(x)
    if self.bias is not None:
      x += self.bias
    return x
"""


def test_methods_that_make_layers_take_sizes_and_rngs(tmp_path):
  held_out = ["Model(7), x(3, 4)", "Model(3, use_bias=False), x(3, 2)"]
  ported = port_and_check(tmp_path, _PARTS, "Model(), x(2, 6)", held_out=held_out)
  assert "self._build_encoder(in_features=in_features, rngs=rngs)" in ported.text
  assert "self._build_decoder(self.features * 3, scale=0.3, rngs=rngs)" in ported.text
  assert "  def _build_encoder(self, *, in_features, rngs) -> None:\n    hidden = self.features * 2\n" in ported.text
  assert "    # what comes in\n    self.first = nnx.Linear(in_features, hidden, rngs=rngs)" in ported.text
  assert "  def _build_decoder(self, hidden, *, scale, rngs):\n" in ported.text
  assert "    self._build_bias(hidden, rngs=rngs)\n" in ported.text
  assert ported.hoisted == []


def test_method_that_returns_the_parameter(tmp_path):
  source = """
  class Model(nn.Module):
    features: int = 5

    def setup(self):
      self.scale = self._scale(2.0)

    def _scale(self, value):
      return self.param("gain", nn.initializers.constant(value), (self.features,))

    def __call__(self, x):
      return x * self.scale
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(7), x(3, 7)"])
  assert "self.scale = self._scale(2.0, rngs=rngs)" in ported.text
  assert "return nnx.Param(nnx.initializers.constant(value)(rngs.params(), (self.features,)))" in ported.text
  assert "return x * self.scale[...]" in ported.text


def test_method_of_a_base_that_its_setup_calls(tmp_path):
  source = """
  class Base(nn.Module):
    features: int = 5

    def setup(self):
      self._build()

    def _build(self):
      self.dense = nn.Dense(self.features)

  class Model(Base):
    scale: float = 2.0

    def __call__(self, x):
      return self.dense(x) * self.scale
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(7), x(3, 4)"])
  assert "self._build(dense_in_features=dense_in_features, rngs=rngs)" in ported.text


def test_method_that_makes_nothing_stays_as_it_was(tmp_path):
  source = """
  class Model(nn.Module):
    features: int = 5

    def setup(self):
      self._configure(2)
      self.dense = nn.Dense(self.width)

    def _configure(self, times):
      self.width = self.features * times

    def __call__(self, x):
      return self.dense(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(7), x(3, 4)"])
  assert "    self._configure(2)\n" in ported.text
  assert "  def _configure(self, times):\n    self.width = self.features * times\n" in ported.text


@pytest.mark.parametrize("method", ["reset", "_head"])
def test_method_that_returns_a_layer_is_a_maker_as_before(tmp_path, method):
  source = f"""
  class Model(nn.Module):
    features: int = 5

    def setup(self):
      self.head = self.{method}(self.features)

    def {method}(self, features):
      return nn.Dense(features)

    def __call__(self, x):
      return self.head(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(7), x(3, 4)"])
  assert f"self.head = self.{method}(self.features, in_features=in_features, rngs=rngs)" in ported.text


def test_parameter_of_setup_tells_the_size_of_what_is_multiplied_by_it(tmp_path):
  source = """
  class Model(nn.Module):
    features: int = 5

    def setup(self):
      width = self.features * 3
      self.weight = self.param("weight", nn.initializers.lecun_normal(), (2, width))
      self.layers = [nn.Dense(width) for _ in range(2)]

    def __call__(self, x):
      x = x @ self.weight
      for layer in self.layers:
        x = layer(x)
      return x
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 2)", held_out=["Model(7), x(3, 2)"])
  assert "nnx.Linear(width, width, rngs=rngs)" in ported.text


def test_method_that_makes_a_parameter_for_each_call(tmp_path):
  source = """
  class Model(nn.Module):
    features: int = 5

    def setup(self):
      self.weight = self._parameter("w", (3, self.features))
      self.bias = self._parameter("b", (self.features,), nn.initializers.normal())

    def _parameter(self, name, shape, init=nn.initializers.lecun_normal()):
      return self.param(name, init, shape)

    def __call__(self, x):
      return x @ self.weight + self.bias
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(7), x(2, 3)"])
  assert "self.weight = self._parameter((3, self.features), rngs=rngs)" in ported.text  # its name is the attribute
  assert "    return nnx.Param(init(rngs.params(), shape))" in ported.text


def test_method_that_calls_need_as_well_is_not_one_of_setup(tmp_path):
  source = """
  class Model(nn.Module):
    features: int = 5

    def setup(self):
      self.dense = nn.Dense(self.features)
      self.scale = self._scaled(2.0)

    def _scaled(self, value):
      return self.features * value

    def __call__(self, x):
      return self.dense(x) * self.scale + self._scaled(3.0)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(7), x(2, 4)"])
  assert "self.scale = self._scaled(2.0)\n" in ported.text
