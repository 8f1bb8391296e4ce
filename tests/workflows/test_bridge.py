"""State translation for the verifier: holes are named, the rest is carried."""

import numpy as np
from flax import nnx

from migrate.core.declare import ModelMapping, move
from migrate.workflows.bridge import StateBridge
from tests.verify import pairs

VARIABLES = {"params": {"dense": {"kernel": np.ones((6, 6), np.float32), "bias": np.ones(6, np.float32)}}}


def model():
  return pairs.TwoInputsNnx(rngs=nnx.Rngs(0))


def test_there_and_back():
  bridge, target = StateBridge(pairs.TWO_INPUTS), model()
  assert bridge.plan(VARIABLES, target) == (2, (), ())
  back = bridge.back(bridge.fill(VARIABLES, target))
  np.testing.assert_array_equal(back["params"]["dense"]["kernel"], VARIABLES["params"]["dense"]["kernel"])
  assert bridge.pairs() == {("dense",): ("dense",), (): ()}


def test_holes_are_named_and_left_out():
  lost = {"params": {**VARIABLES["params"], "{odd}": {"w": np.ones(2, np.float32)}}}
  bridge, target = StateBridge(ModelMapping((move("params/dense/kernel", "dense/kernel"),))), model()
  del target.dense.bias
  target.dense.other = nnx.Param(np.ones(6, np.float32))
  carried, unmapped, unfilled = bridge.plan(lost, target)
  assert carried == 1
  assert unmapped == ("params/dense/bias", "params/{odd}/w")
  assert unfilled == ("dense/other",)
  back = bridge.back(bridge.fill(lost, target))
  assert set(back["params"]) == {"dense"}
