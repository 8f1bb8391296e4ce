"""Training states taken apart."""

from __future__ import annotations

import pytest

from migrate.core.report import MigrateError
from migrate.core.training import is_nnx, split_linen, split_nnx, with_value
from migrate.core.tree import NOTHING


def flat(*names):
  return {tuple(int(s) if s.isdecimal() else s for s in n.split("/")): n for n in names}


def test_params_once():
  state = split_linen(flat("params/a/k", "batch_stats/a/mean", "step", "opt_state/0/count"), (("opt_state", 1),))
  assert set(state.variables) == {("params", "a", "k"), ("batch_stats", "a", "mean")}
  assert state.opt_state == {(0, "count"): "opt_state/0/count", (1,): NOTHING}
  assert state.step == "step"
  assert state.origin == {}


def test_params_twice_with_collections_beside():
  state = split_linen(flat("params/params/a/k", "params/batch_stats/a/mean"))
  assert set(state.variables) == {("params", "a", "k"), ("batch_stats", "a", "mean")}
  assert state.place(("params", "a", "k")) == ("params", "params", "a", "k")
  assert state.opt_state is None


def test_a_submodule_called_params_is_not_a_level():
  state = split_linen(flat("params/params/k", "params/other/k"))
  assert set(state.variables) == {("params", "params", "k"), ("params", "other", "k")}


def test_boxes_are_taken_off_and_real_names_stay():
  state = split_linen(
    flat("params/d/kernel/value", "params/d/bias", "params/mha/value/kernel", "params/g/value", "params/g/w")
  )
  assert set(state.variables) == {
    ("params", "d", "kernel"),
    ("params", "d", "bias"),
    ("params", "mha", "value", "kernel"),
    ("params", "g", "value"),
    ("params", "g", "w"),
  }


def test_without_parameters_there_is_nothing():
  with pytest.raises(MigrateError, match="has model at its top"):
    split_linen(flat("model/a"))


def test_optimizer_without_arrays_is_still_one():
  assert split_linen(flat("params/a"), (("opt_state", 0),)).opt_state == {(0,): NOTHING}


def test_nnx_state():
  leaves = flat(
    "model/a/value", "optimizer/opt_state/0/mu/a/value", "optimizer/step/value", "optimizer/opt_state/0/s/a/value/1"
  )
  assert is_nnx(list(leaves))
  state = split_nnx(leaves)
  assert set(state.variables) == {("a",)}
  assert set(state.opt_state or {}) == {(0, "mu", "a"), (0, "s", "a", 1)}
  assert state.step == "optimizer/step/value"
  assert set(split_nnx(flat("model/a", "model/value")).variables) == {("a",), ("value",)}
  with pytest.raises(MigrateError, match="neither opt_state nor step"):
    split_nnx(flat("model/a", "optimizer/x"))


def test_value_stands_before_the_numbers_of_a_list():
  model = {("layers", "0", "k")}
  assert with_value(("0", "mu", "layers", "0", "k"), model) == ("0", "mu", "layers", "0", "k", "value")
  assert with_value(("0", "mu", "layers", "0", "k", "1"), model) == ("0", "mu", "layers", "0", "k", "value", 1)
  assert with_value(("0", "count"), model) == ("0", "count", "value")


def test_arrays_outside_variables_are_left_out():
  leaves = {
    ("model", "dense", "kernel", "value"): 1,
    ("model", "dense", "bias", "value"): 2,
    ("model", "mask"): 3,
    ("model", "masks", "0"): 4,
    ("model", "scale", "value"): 5,
  }
  assert split_nnx(leaves).variables == {("dense", "kernel"): 1, ("dense", "bias"): 2, ("scale",): 5}


def test_with_an_optimizer_its_step_tells():
  leaves = {("model", "a", "value"): 1, **{("model", f"mask{i}"): i for i in range(5)}}
  assert split_nnx({**leaves, ("optimizer", "step", "value"): 9}).variables == {("a",): 1}
  assert len(split_nnx({**leaves, ("optimizer", "step"): 9}).variables) == 6
  assert split_nnx(leaves, ends=True).variables == {("a",): 1}


def test_a_variable_called_value_in_a_pure_dict():
  leaves = {("model", "scale", "value"): 1, ("model", "dense", "kernel"): 2, ("model", "dense", "bias"): 3}
  assert set(split_nnx(leaves).variables) == {("scale", "value"), ("dense", "kernel"), ("dense", "bias")}


def test_bare_parameters_are_params():
  leaves = {("Dense_0", "kernel"): 1, ("embed",): 2, ("head", "kernel", "value"): 3}
  state = split_linen(leaves)
  assert state.variables == {
    ("params", "Dense_0", "kernel"): 1,
    ("params", "embed"): 2,
    ("params", "head", "kernel"): 3,
  }
  assert [state.place(p) for p in state.variables] == list(leaves)
  assert state.opt_state is None


@pytest.mark.parametrize("top", ["opt_state", "target", "batch_stats", "model"])
def test_what_is_not_bare_is_refused(top):
  with pytest.raises(MigrateError, match="at its top"):
    split_linen({(top, "x"): 1, ("Dense_0", "kernel"): 2})
