"""Planted faults must be caught and named; two models that agree must be called so."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import migrate
from migrate.core.declare import ModelMapping, move
from migrate.core.ops import Transpose
from migrate.verify.compare import compare
from migrate.verify.linen_side import record_linen
from migrate.verify.nnx_side import record_nnx
from migrate.workflows.bridge import StateBridge
from tests.verify import pairs


@pytest.fixture(scope="module")
def linen():
  return record_linen(pairs.norms_example(), where="norms")


@pytest.fixture(scope="module")
def linen_two():
  return record_linen(pairs.two_inputs_example(), where="two")


def prove(linen, model, mapping):
  return compare("example", linen, record_nnx(linen, model, StateBridge(mapping)))


def norms(fault=""):
  return pairs.NormsNnx(fault=fault, rngs=nnx.Rngs(0, params=1, dropout=2))


def replaced(mapping, *rules):
  """The mapping with the rules of the same sources exchanged."""
  sources = {r.source for r in rules}
  return ModelMapping((*(r for r in mapping.rules if r.source not in sources), *rules))


def names(comparison):
  return {d.name for d in comparison.different}


def test_same_model_is_identical_in_eval_and_training(linen):
  report = prove(linen, norms(), pairs.NORMS)
  assert report.verdict == "identical", report.findings
  assert report.forward.compared == 4
  assert report.gradients.compared == 20
  assert report.collections["batch_stats"].compared == 4
  assert report.leaves == 12
  assert not report.findings


def test_shapes_for_arguments_are_filled(linen_two):
  report = prove(linen_two, pairs.TwoInputsNnx(rngs=nnx.Rngs(0)), pairs.TWO_INPUTS)
  assert report.verdict == "identical", report.findings


def test_two_kernels_of_one_shape_swapped(linen):
  swapped = replaced(
    pairs.NORMS,
    move("params/left/kernel", "right/kernel"),
    move("params/right/kernel", "left/kernel"),
  )
  report = prove(linen, norms(), swapped)
  assert report.verdict == "different"
  assert "call0/params/left/kernel" in names(report.gradients)
  assert "call0/out" in names(report.forward)


def test_square_kernel_transposed(linen):
  turned = replaced(pairs.NORMS, move("params/left/kernel", "left/kernel", Transpose((1, 0))))
  report = prove(linen, norms(), turned)
  assert report.verdict == "different"
  assert "call0/out" in names(report.forward)


def test_dropped_bias_is_named(linen):
  without = ModelMapping(tuple(r for r in pairs.NORMS.rules if r.source != (("params", "left", "bias"),)))
  report = prove(linen, norms("no bias"), without)
  assert report.verdict == "different"
  assert report.unmapped == ("params/left/bias",)
  assert any("params/left/bias" in f.where for f in report.findings)


def test_leaf_without_a_rule_is_incomplete_at_best(linen_two):
  hole = ModelMapping((move("params/dense/kernel", "other/kernel"),))
  report = prove(linen_two, Renamed(rngs=nnx.Rngs(0)), hole)
  assert report.verdict == "different"  # the bias is random, and missing
  assert report.unmapped == ("params/dense/bias",)
  assert report.unfilled == ("other/bias",)


class Renamed(nnx.Module):
  def __init__(self, *, rngs):
    self.other = nnx.Linear(6, 6, rngs=rngs)

  def __call__(self, a, b):
    return self.other(a - 2 * b)


@pytest.mark.parametrize(
  ("fault", "part", "name"),
  [
    ("epsilon", "forward", "call0/out"),
    ("argument", "forward", "call0/out"),
    ("statistics", "batch_stats", "call1/batch_stats/norm/mean"),
    ("rate", "forward", "call1/out"),
    ("no dropout", "forward", "call1/out"),
    ("nan", "forward", "call0/mean"),
  ],
)
def test_fault_in_the_ported_source(linen, fault, part, name):
  report = prove(linen, norms(fault), pairs.NORMS)
  assert report.verdict == "different"
  comparison = report.forward if part == "forward" else report.collections[part]
  assert name in names(comparison)
  assert any(comparison.different[0].name in f.where for f in report.findings)


def test_fault_in_training_leaves_eval_alone(linen):
  report = prove(linen, norms("rate"), pairs.NORMS)
  assert names(report.forward) == {"call1/out", "call1/mean"}


def test_arguments_exchanged(linen_two):
  report = prove(linen_two, pairs.TwoInputsNnx(swapped=True, rngs=nnx.Rngs(0)), pairs.TWO_INPUTS)
  assert report.verdict == "different"
  assert names(report.forward) == {"call0/output"}


def test_nothing_compared_is_incomplete(linen_two):
  empty = dataclasses.replace(linen_two, calls=[dataclasses.replace(c, outputs={}, grads={}) for c in linen_two.calls])
  nnx_record = record_nnx(linen_two, pairs.TwoInputsNnx(rngs=nnx.Rngs(0)), StateBridge(pairs.TWO_INPUTS))
  for call in nnx_record.calls:
    call.outputs, call.grads = {}, {}
  report = compare("example", empty, nnx_record)
  assert report.verdict == "incomplete"
  assert "no array" in report.findings[0].found


@pytest.mark.parametrize("heads", [3, 5])
def test_stock_attention_is_within_the_measured_noise(heads):
  # another order of the same operations: SEMANTICS finds 1e-7 relative, unless the head size is a power of two
  x = np.random.RandomState(0).randn(2, 7, 30).astype("float32")
  build = lambda rngs: nnx.MultiHeadAttention(heads, 30, qkv_features=30, decode=False, rngs=rngs)
  example = migrate.Example(nn.MultiHeadDotProductAttention(num_heads=heads, qkv_features=30), (x,))
  report = migrate.verify(example, build, ModelMapping())
  assert report.verdict == "equal", report.findings
  assert all(d.max_abs <= 4 * d.noise for d in report.examples[0].forward.diffs)


def test_stock_norm_in_bfloat16_is_outside_the_noise():
  x = np.random.RandomState(0).randn(2, 7, 30).astype("float32")
  build = lambda rngs: nnx.LayerNorm(30, dtype=jnp.bfloat16, rngs=rngs)
  report = migrate.verify(migrate.Example(nn.LayerNorm(dtype=jnp.bfloat16), (x,)), build, ModelMapping())
  assert report.verdict == "different"
