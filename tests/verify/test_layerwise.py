"""The wrong module is named, and only that one."""

import jax.numpy as jnp
import pytest
from flax import linen as nn
from flax import nnx

import migrate
from migrate.core.declare import ModelMapping, move
from migrate.verify.layerwise import ModuleDiff, findings_of
from tests.verify import pairs


def wrong_modules(report):
  return [(m["nnx"], m["what"]) for m in report.examples[0].modules if m["state"] == "different"]


@pytest.mark.parametrize(
  ("fault", "wrong"),
  [("epsilon", "layer_norm"), ("statistics", "norm"), ("rate", "drop"), ("argument", "(model)")],
)
def test_planted_fault_blames_its_module_alone(fault, wrong):
  build = lambda rngs: pairs.NormsNnx(fault=fault, rngs=rngs)
  report = migrate.verify(pairs.norms_example, build, pairs.NORMS)
  assert wrong_modules(report) == [(wrong, "output")]
  assert f"-> {wrong}" in report.findings[0].where


def test_swapped_kernels_blame_the_module_around():
  rules = {r.source[0]: r for r in pairs.NORMS.rules}
  rules["params", "left", "kernel"] = move("params/left/kernel", "right/kernel")
  rules["params", "right", "kernel"] = move("params/right/kernel", "left/kernel")
  report = migrate.verify(pairs.norms_example, lambda rngs: pairs.NormsNnx(rngs=rngs), ModelMapping((*rules.values(),)))
  assert report.verdict == "different"
  # the two modules can't be paired any more, so what they make of their inputs is the model's own doing
  assert wrong_modules(report) == [("layer_norm", "input"), ("(model)", "output")]


class Block(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.Dense(5, name="b")(nn.tanh(nn.Dense(5, name="a")(x)) * 2)


class Stack(nn.Module):
  @nn.compact
  def __call__(self, x):
    for i in range(3):
      x = x + Block(name=f"block_{i}")(x)
    return x


class BlockNnx(nnx.Module):
  def __init__(self, factor, rngs):
    self.a = nnx.Linear(5, 5, rngs=rngs)
    self.b = nnx.Linear(5, 5, rngs=rngs)
    self.factor = factor

  def __call__(self, x):
    return self.b(nnx.tanh(self.a(x)) * self.factor)


class StackNnx(nnx.Module):
  def __init__(self, rngs):
    self.blocks = nnx.List([BlockNnx(f, rngs) for f in (2, 2.5, 2)])

  def __call__(self, x):
    for block in self.blocks:
      x = x + block(x)
    return x


def test_wrong_input_blames_the_module_around():
  leaves = [f"{d}/{p}" for d in "ab" for p in ("kernel", "bias")]
  mapping = ModelMapping(tuple(move(f"params/block_{{i}}/{leaf}", f"blocks/{{i}}/{leaf}") for leaf in leaves))
  report = migrate.verify(migrate.Example(Stack(), (jnp.arange(15.0).reshape(3, 5) / 7,)), StackNnx, mapping)
  assert report.verdict == "different"
  assert wrong_modules(report) == [("blocks/1/b", "input")]


def test_findings_name_each_module_once():
  rows = [ModuleDiff("a", "b", "Dense", "Linear", "different", max_abs=float("inf"), why="no output x").to_json()] * 2
  found = findings_of("m", rows)
  assert len(found) == 1
  assert "no output x" in found[0].found
