"""Linen's random numbers in NNX, to the bit."""

import jax
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import migrate
from migrate.core.declare import ModelMapping, move
from migrate.verify.draws import Draw, cast, record_draws

X = np.random.RandomState(0).randn(3, 4).astype("float32")


class Block(nn.Module):
  @nn.compact
  def __call__(self, x, _):
    x = nn.Dropout(0.5, deterministic=False, name="drop")(nn.Dense(4, name="dense")(x))
    return nn.Dropout(0.3, deterministic=False, name="other")(x), None


class Scanned(nn.Module):
  remat: bool = False

  @nn.compact
  def __call__(self, x):
    x = nn.Dropout(0.1, deterministic=False)(x)
    block = nn.remat(Block) if self.remat else Block
    split = {"params": True, "dropout": True}
    x, _ = nn.scan(block, variable_axes={"params": 0}, split_rngs=split, length=3)(name="blocks")(x, None)
    return nn.Dropout(0.2, deterministic=False)(x)


class BlockNnx(nnx.Module):
  def __init__(self, rngs):
    self.dense = nnx.Linear(4, 4, rngs=rngs)
    self.drop = nnx.Dropout(0.5, rngs=rngs)
    self.other = nnx.Dropout(0.3, rngs=rngs)

  def __call__(self, x):
    return self.other(self.drop(self.dense(x)))


def make_blocks(rngs):
  return nnx.split_rngs(splits=3)(nnx.vmap(BlockNnx, in_axes=(0,), out_axes=0))(rngs)


class ScannedNnx(nnx.Module):
  def __init__(self, rngs, remat=False):
    self.first = nnx.Dropout(0.1, rngs=rngs)
    self.blocks = make_blocks(rngs)
    self.last = nnx.Dropout(0.2, rngs=rngs)
    self.remat = remat

  def __call__(self, x):
    @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
    def step(block, x):
      return nnx.remat(lambda b, x: b(x))(block, x) if self.remat else block(x)

    return self.last(step(self.blocks, self.first(x)))


class SplitAtCallNnx(ScannedNnx):
  """Draws from one stream that is split around the scan."""

  def __init__(self, rngs):
    super().__init__(rngs)
    self.blocks.drop.rngs = self.blocks.other.rngs = None
    self.rngs = rngs

  def __call__(self, x):
    @nnx.split_rngs(splits=3)
    @nnx.scan(in_axes=(0, 0, nnx.Carry), out_axes=nnx.Carry)
    def step(block, rngs, x):
      return block.other(block.drop(block.dense(x), rngs=rngs), rngs=rngs)

    return self.last(step(self.blocks, self.rngs, self.first(x)))


BLOCKS = ModelMapping(tuple(move(f"params/blocks/dense/{p}", f"blocks/dense/{p}") for p in ("kernel", "bias")))


@pytest.mark.parametrize("remat", [False, True])
def test_scan_over_layers(remat):
  example = migrate.Example(Scanned(remat), (X,), rngs=("dropout",))
  report = migrate.verify(example, lambda rngs: ScannedNnx(rngs, remat), BLOCKS)
  assert report.verdict == "identical", report.findings


def test_streams_split_around_the_call():
  report = migrate.verify(migrate.Example(Scanned(), (X,), rngs=("dropout",)), SplitAtCallNnx, BLOCKS)
  assert report.verdict == "identical", report.findings


class Own(nn.Module):
  @nn.compact
  def __call__(self, x):
    drop = nn.Dropout(0.5, deterministic=False)
    for _ in range(3):
      x = drop(nn.Dense(4)(x))
    return x + jax.random.normal(self.make_rng("noise"), x.shape)


class OwnNnx(nnx.Module):
  def __init__(self, rngs):
    self.rngs = rngs
    self.layers = nnx.List([nnx.Linear(4, 4, rngs=rngs) for _ in range(3)])
    self.drop = nnx.Dropout(0.5)

  def __call__(self, x):
    for layer in self.layers:
      x = self.drop(layer(x), rngs=self.rngs)
    return x + jax.random.normal(self.rngs.noise(), x.shape)


OWN = ModelMapping(tuple(move(f"params/Dense_{{i}}/{p}", f"layers/{{i}}/{p}") for p in ("kernel", "bias")))


def test_shared_streams_and_a_module_used_thrice():
  report = migrate.verify(migrate.Example(Own(), (X,), rngs=("dropout", "noise")), OwnNnx, OWN)
  assert report.verdict == "identical", report.findings


def test_missing_stream_falls_back_to_params():
  report = migrate.verify(migrate.Example(Own(), (X,), rngs=("params", "dropout")), OwnNnx, OWN)
  assert report.findings
  assert "'params'" in str(report.findings)


def test_draws_of_a_scan_are_those_of_the_second_tracing():
  module = Scanned()
  variables = module.init({"params": jax.random.key(0), "dropout": jax.random.key(1)}, X)
  with record_draws() as draws:
    module.apply(variables, X, rngs={"dropout": jax.random.key(1)})
  assert [d.path for d in draws] == ["Dropout_0", "blocks/drop", "blocks/other", "Dropout_1"]
  with record_draws() as plain:
    nn.Dropout(0.5, deterministic=False).apply({}, X, rngs={"dropout": jax.random.key(1)})
  assert [(d.stream, d.path) for d in plain] == [("dropout", "")]


DRAWS = [Draw("dropout", "a", 1), Draw("dropout", "b", 2), Draw("dropout", "a", 3)]


def test_order_casts_the_streams():
  casting = cast(DRAWS, [("dropout", "x"), ("dropout", "y"), ("dropout", "x")])
  assert casting.tables == {"x": (1, 3), "y": (2,)}
  assert casting.scopes == {"x": "a", "y": "b"}
  assert not casting.problems


def test_given_paths_beat_the_order():
  log = [("dropout", "second/rngs"), ("dropout", "first/rngs"), ("dropout", "first/rngs")]
  casting = cast(DRAWS, log, {"first": "a", "second": "b"})
  assert casting.tables == {"second/rngs": (2,), "first/rngs": (1, 3)}


def test_shared_stream_is_cast_by_order_whatever_its_path():
  log = [("dropout", "first/rngs/dropout")] * 3
  casting = cast(DRAWS, log, {"first": "a", "second": "b"})
  assert casting.tables == {"first/rngs/dropout": (1, 2, 3)}
  assert not casting.problems


def test_uneven_draws_are_told():
  casting = cast(DRAWS, [("dropout", "x")])
  assert "Linen draws 3 numbers of 'dropout' (a 2x, b 1x), NNX 1 (x 1x)" in casting.problems
  assert cast([], [("dropout", "x")]).problems == ("NNX draws 1 numbers of 'dropout', Linen none",)
