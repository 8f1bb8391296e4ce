"""Records with planted faults: each is found, and named."""

import dataclasses

import pytest

from mappings.layers import batch_norm, dense, layer_norm, lstm_cell
from migrate.core.declare import Sample, add, floats, leaf, same
from migrate.verify.conformance import Result, assert_conforms, check, distance
from migrate.verify.signature import check_signature

DENSE = dense.MAPPING
SAMPLE = Sample({"features": 7}, (floats(3, 7),), half=False)


def changed(**fields):
  return dataclasses.replace(DENSE, **fields)


def without(name):
  return tuple(arg for arg in DENSE.args if name not in (arg.linen, arg.nnx))


def text(record, *samples):
  result = check(record, *(samples or (SAMPLE,)))
  assert not result.conforms
  return str(result)


def test_a_record_that_conforms_says_so():
  result = check(DENSE, SAMPLE)
  assert_conforms(result)
  assert result.distances[0].forward == 0


@pytest.mark.parametrize(
  ("record", "message"),
  [
    (changed(args=without("precision")), "field precision has no fate"),
    (changed(args=(*DENSE.args, *same("precision"))), "field precision has 2 fates"),
    (changed(args=(*DENSE.args, *same("gone"))), "there is no field gone"),
    (changed(args=(*DENSE.args, *add("nowhere", "1", because="x"))), "has no parameter nowhere"),
    (changed(args=without("preferred_element_type")), "preferred_element_type without a fate"),
    (changed(positional=("features",)), "positional is"),
    (changed(args=(*without("use_bias"), *add("use_bias", "True", because=""))), "has no reason"),
    (dataclasses.replace(batch_norm.MAPPING, call_positional=()), "call_positional is empty"),
    (changed(leaves=(leaf("params/kernel", "kernel", "a+b"),)), "not a product"),
    (changed(call_args=(("gone", "there"),)), "there is no call argument gone"),
  ],
)
def test_a_signature_that_is_not_accounted_for(record, message):
  assert message in "\n".join(f"{finding.where} {finding}" for finding in check_signature(record))


def test_a_default_that_differs_needs_a_reason():
  args = [dataclasses.replace(a, because="") for a in batch_norm.MAPPING.args]
  found = check_signature(dataclasses.replace(batch_norm.MAPPING, args=tuple(args)))
  assert any("default of use_running_average is None in Linen, False in NNX" in str(f) for f in found)


def test_a_dropped_bias():
  record = changed(leaves=DENSE.leaves[:1], args=(*without("use_bias"), *add("use_bias", "False", because="planted")))
  assert "bias" in text(record)


def test_swapped_axes_that_fit_by_luck_are_named():
  leaves = (leaf("params/kernel", "kernel", "out_features in_features"), DENSE.leaves[1])
  assert "does not fit" in text(changed(leaves=leaves), Sample({"features": 5}, (floats(3, 7),), half=False))


def test_two_kernels_of_one_shape_swapped():
  swap = {("hf", "kernel"): ("hg", "kernel"), ("hg", "kernel"): ("hf", "kernel")}
  leaves = [dataclasses.replace(one, nnx=tuple(swap.get(p, p) for p in one.nnx)) for one in lstm_cell.MAPPING.leaves]
  record = dataclasses.replace(lstm_cell.MAPPING, leaves=tuple(leaves))
  assert "output is" in text(record, Sample({"features": 5}, (floats(3, 7),), half=False))


def test_a_wrong_constant():
  record = layer_norm.MAPPING
  args = tuple(a for a in record.args if a.linen != "epsilon")
  wrong = dataclasses.replace(record, args=(*args, *add("epsilon", "0.001", because="planted")))
  assert "output is" in text(wrong, Sample({}, (floats(3, 7),), half=False))


def test_a_sample_that_compares_nothing_fails():
  assert "no number was compared" in text(DENSE, Sample({"features": 5}, (floats(0, 7),), half=False))


def test_a_record_without_samples_does_not_conform():
  assert not check(dataclasses.replace(DENSE, example=None)).conforms
  with pytest.raises(AssertionError):
    assert_conforms(Result("x", (), ()))


def test_distance_is_in_units_in_the_last_place():
  import numpy as np

  one = {"y": np.float32([1.0, -4.0])}
  assert distance(one, one) == 0
  assert distance(one, {"y": np.float32([1.0, -4.0 * (1 + 2**-22)])}) == pytest.approx(2.0)
  assert distance(one, {"y": np.float64([1.0, -4.0])}) == float("inf")
  assert distance(one, {"z": one["y"]}) == float("inf")
  assert distance(one, {"y": np.float32([np.nan, -4.0])}) == float("inf")
  nan = {"y": np.float32([np.nan, 1.0])}
  assert distance(nan, nan) == 0
