"""Which functions make a layer."""

from __future__ import annotations

import ast

from migrate.codemod.maker_nodes import find_definition, receiver_of
from migrate.codemod.source import Source
from tests.codemod.support import port_and_check


def test_definitions_are_found_by_name_and_first_line():
  source = Source("f.py", "@wraps\ndef f():\n  pass\n\ng = lambda: 1\nh = (lambda: 1, lambda: 2)\n")
  assert isinstance(find_definition(source, "f", 1), ast.FunctionDef)
  assert find_definition(source, "f", 2) is None
  assert isinstance(find_definition(source, "<lambda>", 5), ast.Lambda)
  assert find_definition(source, "<lambda>", 6) is None  # two in one line


def test_a_method_has_a_receiver_and_a_static_one_has_none():
  source = Source(
    "f.py", "class C:\n  def f(self): ...\n  @classmethod\n  def g(cls): ...\n  @staticmethod\n  def h(x): ...\n"
  )
  found = {n.name: receiver_of(n) for n in ast.walk(source.tree) if isinstance(n, ast.FunctionDef)}
  assert found == {"f": "self", "g": "cls", "h": ""}


CONFIG = '''
import dataclasses

@dataclasses.dataclass(frozen=True)
class Config:
  width: int = 8
  depth: int = 2
  norm: str = "layer"

  def make_norm(self, name=None):
    # one of two
    if self.norm == "layer":
      return nn.LayerNorm(name=name, epsilon=1e-3)
    return nn.RMSNorm(name=name)

  def make_mlp(self, name="mlp", **kwargs) -> nn.Module:
    """Makes a block."""
    return Mlp(self, name=name, **kwargs)

  @staticmethod
  def head(features):
    return nn.Dense(features)

class Mlp(nn.Module):
  config: Config
  scale: float = 1.0

  @nn.compact
  def __call__(self, x):
    y = nn.relu(nn.Dense(4 * self.config.width)(x))
    return self.scale * nn.Dense(x.shape[-1])(y)
'''


def test_methods_of_plain_classes_that_make_layers(tmp_path):
  source = (
    CONFIG
    + """
class Model(nn.Module):
  config: Config

  @nn.compact
  def __call__(self, x):
    for i in range(self.config.depth):
      y = self.config.make_norm(f"norm_{i}")(x)
      x = x + self.config.make_mlp(f"mlp_{i}", scale=0.5)(y)
    return Config.head(5)(self.config.make_norm("out")(x))
"""
  )
  held_out = ["Model(Config(3, 1, 'rms')), x(2, 5)"]
  ported = port_and_check(tmp_path, source, "Model(Config()), x(2, 6)", held_out=held_out)
  assert "def make_norm(self, num_features, *, rngs):\n    # one of two\n" in ported.text
  assert "def make_mlp(self, in_features, *, rngs, **kwargs) -> nnx.Module:" in ported.text
  assert "def head(in_features, features, *, rngs):" in ported.text
  assert "self.out = self.config.make_norm(in_features, rngs=rngs)" in ported.text
  assert ported.hoisted == []


def test_methods_of_plain_classes_that_setup_calls(tmp_path):
  source = (
    CONFIG
    + """
class Model(nn.Module):
  config: Config

  def setup(self):
    self.first = self.config.make_mlp("first")
    self.rest = [self.config.make_mlp(scale=2.0, name=f"mlp_{i}") for i in range(self.config.depth)]

  def __call__(self, x):
    x = self.first(x)
    for layer in self.rest:
      x = layer(x)
    return x
"""
  )
  ported = port_and_check(tmp_path, source, "Model(Config()), x(2, 6)", held_out=["Model(Config(3, 1)), x(2, 5)"])
  assert "self.first = self.config.make_mlp(in_features, rngs=rngs)" in ported.text
  assert "def head(in_features, features, *, rngs):" in ported.text  # no example calls it


def test_classes_that_apply_models_make_them_as_programs_do(tmp_path):
  source = (
    CONFIG
    + """
class Trainer:
  def __init__(self, config):
    self.config = config

  def model(self, scale):
    return Mlp(self.config, scale)

  def loss(self, variables, x):
    return self.model(1.0).apply(variables, x).sum()
"""
  )
  ported = port_and_check(tmp_path, source, "Mlp(Config()), x(2, 6)", clean=False)
  text = ported.rewriting.sources["model"]
  assert source[source.index("class Trainer") :].strip() in text  # for the rewriting of training code


def test_modules_that_no_example_reaches_are_no_plain_classes(tmp_path):
  source = (
    CONFIG
    + """
class Other(nn.Module):
  config: Config

  def setup(self):
    self.head = nn.Dense(self.config.width)

  def made(self):
    return nn.Dense(3)

  def __call__(self, x):
    return self.made()(self.head(x))
"""
  )
  ported = port_and_check(tmp_path, source, "Mlp(Config()), x(2, 6)", clean=False)
  text = ported.rewriting.sources["model"]
  assert source[source.index("class Other") :].strip() in text
