"""Optimizer states planned from the parameters' plan."""

from __future__ import annotations

import pytest

from migrate.core.declare import ModelMapping, copy, drop, move
from migrate.core.moments import NOTHING, lift, params_like
from migrate.core.ops import Cast, Stack, Transpose
from migrate.core.plan import make_plan
from migrate.core.report import MigrateError
from migrate.core.tree import Spec


def f32(*shape: int) -> Spec:
  return Spec(shape, "float32")


def paths(plan):
  return {"/".join(map(str, e.sources[0].path)): "/".join(map(str, t.path)) for e in plan.entries for t in e.targets}


PARAMS = {("params", "l_0", "k"): f32(2, 3), ("params", "l_1", "k"): f32(2, 3)}
COUNT = Spec((), "int32")


def test_moments_follow_and_counts_stay():
  plan = make_plan(PARAMS, None, ModelMapping((move("params/l_{i}/**", "layers/{i}/**"),)))
  state = {(0, "count"): COUNT, (0, "mu", "l_0", "k"): f32(2, 3), (0, "mu", "l_1", "k"): f32(2, 3)}
  assert paths(lift(plan, state)) == {
    "0/count": "0/count",
    "0/mu/l_0/k": "0/mu/layers/0/k",
    "0/mu/l_1/k": "0/mu/layers/1/k",
  }


def test_params_level_inside_the_state_is_taken_off():
  plan = make_plan(PARAMS, None, None)
  state = {(0, "mu", "params", "l_0", "k"): f32(2, 3)}
  assert paths(lift(plan, state)) == {"0/mu/params/l_0/k": "0/mu/l_0/k"}


def test_moments_of_a_copy_are_copied_and_must_be_equal_on_the_way_back():
  plan = make_plan(PARAMS, None, ModelMapping((copy("params/l_0/k", "twin", Transpose()),)))
  state = {("mu", "l_0", "k"): f32(2, 3), ("mu", "l_1", "k"): f32(2, 3)}
  lifted = lift(plan, state)
  assert [(e.fate, e.targets[0].path) for e in lifted.entries] == [
    ("same", ("mu", "l_0", "k")),
    ("copy", ("mu", "twin")),
    ("same", ("mu", "l_1", "k")),
  ]
  back = lift(plan.inverse(), {t.path: t.spec for e in lifted.entries for t in e.targets}, collection="")
  assert [e.fate for e in back.entries] == ["same", "tie", "same"]


def test_layout_operations_are_lifted():
  plan = make_plan(PARAMS, None, ModelMapping((move("params/l_{i}/**", "layers/**", Transpose(), Stack()),)))
  lifted = lift(plan, {("mu", "l_0", "k"): f32(2, 3), ("mu", "l_1", "k"): f32(2, 3)})
  assert lifted.entries[0].ops == (Transpose(), Stack(2))
  assert lifted.entries[0].targets[0].spec == f32(2, 3, 2)


@pytest.mark.parametrize(
  ("rules", "state", "said"),
  [
    ((move("params/l_0/k", "a", Cast("bfloat16")),), {("mu", "l_0", "k"): f32(2, 3)}, "changes values"),
    ((move("params/l_0/k", "a", Transpose()),), {("v_row", "l_0", "k"): f32(2)}, "not of the parameter's shape"),
    ((move("params/l_{i}/k", "a", Stack()),), {("mu", "l_0", "k"): f32(2, 3)}, "also needs params/l_1/k"),
    (
      (move("params/l_{i}/k", "a", Stack()),),
      {("mu", "l_0", "k"): f32(2, 3), ("mu", "l_1", "k"): NOTHING},
      "masked",
    ),
  ],
)
def test_what_moments_cannot_follow_is_refused(rules, state, said):
  plan = make_plan(PARAMS, None, ModelMapping(rules))
  with pytest.raises(MigrateError, match=said):
    lift(plan, state)


def test_odd_shapes_may_be_renamed():
  plan = make_plan(PARAMS, None, ModelMapping((move("params/l_{i}/**", "layers/{i}/**"),)))
  assert paths(lift(plan, {("v_row", "l_0", "k"): f32(1)})) == {"v_row/l_0/k": "v_row/layers/0/k"}


def test_list_for_each_parameter_is_kept():
  plan = make_plan(PARAMS, None, ModelMapping((move("params/l_{i}/**", "layers/{i}/**"),)))
  state = {("mu", "l_0", "k", 0): f32(2, 1), ("mu", "l_0", "k", 1): f32(1, 3)}
  assert paths(lift(plan, state)) == {"mu/l_0/k/0": "mu/layers/0/k/0", "mu/l_0/k/1": "mu/layers/0/k/1"}


def test_dropped_parameters_drop_their_moments():
  plan = make_plan(PARAMS, None, ModelMapping((drop("params/l_0/**", because="x"),)))
  assert [e.fate for e in lift(plan, {("mu", "l_0", "k"): f32(2, 3), ("mu", "l_1", "k"): f32(2, 3)}).entries] == [
    "drop",
    "same",
  ]


def test_masked_places_are_kept():
  plan = make_plan(PARAMS, None, ModelMapping((move("params/l_{i}/**", "layers/{i}/**"),)))
  entries = lift(plan, {("mu", "l_0", "k"): NOTHING, ("0",): NOTHING}).entries
  assert [(e.sources[0].path, e.targets[0].path, e.targets[0].spec) for e in entries] == [
    (("mu", "l_0", "k"), ("mu", "layers", "0", "k"), NOTHING)
  ]


def test_another_transformation_is_named():
  plan = make_plan(PARAMS, None, None)
  with pytest.raises(MigrateError) as caught:
    lift(plan, {(0, "mu", "l_0", "k"): f32(2, 3)}, {(1, "mu", "l_0", "k"): f32(2, 3)})
  assert "has no 0/mu/l_0/k" in str(caught.value)
  assert "nothing fills float32[2, 3]" in str(caught.value)


def test_parameters_named_like_fields_of_the_state():
  params = {("mu", "w"), ("w",), ("trace", "w")}
  state = [("0", "count"), ("0", "mu", "mu", "w"), ("0", "mu", "w"), ("0", "mu", "trace", "w"), ("1", "trace", "w")]
  found = params_like(state, params)
  assert found[("0", "mu", "mu", "w")] == (("0", "mu"), ("mu", "w"), ())
  assert found[("0", "mu", "w")] == (("0", "mu"), ("w",), ())
  assert ("0", "count") not in found


def test_moments_of_parameters_that_are_not_there_are_refused():
  plan = make_plan({("params", "l_0", "k"): f32(2, 3)}, None, None)
  with pytest.raises(MigrateError, match="mirror no parameter"):
    lift(plan, {("mu", "l_0", "k"): f32(2, 3), ("mu", "l_1", "k"): f32(2, 3)})
