"""Lambdas that make a layer and that a field holds."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

BLOCK = """
  class Block(nn.Module):
    mixer: Callable
    norm: Callable = lambda: nn.LayerNorm(epsilon=1e-5)

    @nn.compact
    def __call__(self, x):
      return x + self.mixer()(self.norm()(x))
  """


def test_lambda_takes_the_sizes_and_rngs_of_its_layer(tmp_path):
  source = f"""{BLOCK}
  class Model(nn.Module):
    width: int = 5
    depth: int = 2

    @nn.compact
    def __call__(self, x):
      epsilon = 1e-3 if self.width > 3 else 1e-4
      for _ in range(self.depth):
        x = Block(
          mixer=lambda: nn.Dense(self.width),
          norm=lambda: nn.RMSNorm(epsilon=epsilon),
        )(x)
      return x
  """
  held_out = ["Model(7, 1), x(2, 7)"]
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=held_out)
  assert "lambda in_features, *, rngs: nnx.Linear(in_features, self.width, rngs=rngs)" in ported.text
  assert "self.dense = self.mixer(in_features, rngs=rngs)" in ported.text
  assert "lambda num_features, *, rngs: nnx.LayerNorm(num_features, epsilon=1e-5, rngs=rngs)" in ported.text


def test_default_lambda_of_a_field_and_a_partial_are_called_alike(tmp_path):
  source = f"""{BLOCK}
  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = Block(mixer=lambda: nn.Dense(5))(x)
      return Block(mixer=functools.partial(nn.Dense, 5))(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "mixer=functools.partial(nnx.Linear, out_features=5)" in ported.text
  assert ported.hoisted == []


def test_lambda_around_a_class_of_the_project(tmp_path):
  source = """
  class Outer(nn.Module):
    mixer: Callable

    def setup(self):
      self.inner = self.mixer()

    def __call__(self, x):
      return x + self.inner(x)

  class Mixer(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x):
      return nn.Dense(self.width)(x)

  class Model(nn.Module):
    width: int = 5

    @nn.compact
    def __call__(self, x):
      return Outer(mixer=lambda: Mixer(self.width))(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "self.inner = self.mixer(in_features, rngs=rngs)" in ported.text


def test_lambda_that_calls_its_layer_is_no_such_lambda(tmp_path):
  source = """
  class Block(nn.Module):
    act: Callable = lambda x: nn.relu(x)

    @nn.compact
    def __call__(self, x):
      return self.act(nn.Dense(3)(x))

  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      return Block(act=lambda x: nn.gelu(x))(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "lambda x: nnx.relu(x)" in ported.text
  assert "lambda x: nnx.gelu(x)" in ported.text


def test_function_without_parameters_that_makes_a_layer(tmp_path):
  source = """
  def make_norm(): return nn.LayerNorm(epsilon=1e-3)

  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      return make_norm()(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "def make_norm(" in ported.text
  assert "(, " not in ported.text


@pytest.mark.parametrize(
  "choice",
  [
    'norm = {"layer": nn.LayerNorm, "none": lambda: lambda y: y}[self.norm]',
    'norm = nn.LayerNorm if self.norm == "layer" else (lambda: lambda y: y)',
    'if self.norm == "layer":\n          norm = nn.LayerNorm\n        else:\n          norm = lambda: lambda y: y',
    "norm = get_norm(self.norm)",
  ],
)
def test_no_norm_takes_what_norms_take(tmp_path, choice):
  source = f"""
    def get_norm(name):
      if name == "layer":
        return nn.LayerNorm
      return lambda: lambda y: y

    class Model(nn.Module):
      norm: str = "layer"

      @nn.compact
      def __call__(self, x):
        {choice}
        return norm()(nn.Dense(3)(x))
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=['Model("none"), x(2, 5)'])
  assert "lambda *args, **kwargs: lambda y: y" in ported.text


def test_a_thunk_that_no_layer_stands_beside_stays(tmp_path):
  source = """
    class Model(nn.Module):
      double: bool = False

      @nn.compact
      def __call__(self, x):
        scale = (lambda: lambda y: 2 * y) if self.double else (lambda: lambda y: y)
        return scale()(nn.Dense(3)(x))
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(True), x(2, 5)"])
  assert "(lambda: lambda y: 2 * y) if self.double else (lambda: lambda y: y)" in ported.text
