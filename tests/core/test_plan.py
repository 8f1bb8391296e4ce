"""Plans: complete, or refused with reasons."""

from __future__ import annotations

import time

import numpy as np
import pytest

from migrate.core.declare import ModelMapping, copy, drop, fresh, move, tie
from migrate.core.ops import Cast, Concatenate, Stack, Transpose, Unstack
from migrate.core.plan import Plan, make_plan
from migrate.core.report import MigrateError
from migrate.core.tree import Spec


def f32(*shape: int) -> Spec:
  return Spec(shape, "float32")


def tree(**leaves: Spec) -> dict[tuple[str | int, ...], Spec]:
  return {tuple(name.split("__")): spec for name, spec in leaves.items()}


def table(plan):
  return [(e.fate, [s.path for s in e.sources], [t.path for t in e.targets]) for e in plan.entries]


def refused(source, target, *rules) -> str:
  with pytest.raises(MigrateError) as caught:
    make_plan(source, target, ModelMapping(tuple(rules)))
  return str(caught.value)


def test_what_no_rule_names_keeps_its_path():
  plan = make_plan(
    tree(params__a__kernel=f32(2), stats__a__mean=f32(2)), {"a": {"kernel": f32(2), "mean": f32(2)}}, None
  )
  assert table(plan) == [
    ("same", [("params", "a", "kernel")], [("a", "kernel")]),
    ("same", [("stats", "a", "mean")], [("a", "mean")]),
  ]


def test_paths_of_the_plan_are_those_of_the_trees():
  target = {("layers", 0, "kernel"): f32(2)}
  plan = make_plan(tree(params__l_0__kernel=f32(2)), target, ModelMapping((move("params/l_{i}/**", "layers/{i}/**"),)))
  assert plan.entries[0].targets[0].path == ("layers", 0, "kernel")


def test_layers_are_stacked_in_numeric_order():
  source = {("params", f"l_{i}", "k"): f32(2) for i in range(11)}
  plan = make_plan(source, {"l": {"k": f32(11, 2)}}, ModelMapping((move("params/l_{i}/**", "l/**", Stack()),)))
  assert [s.path[1] for s in plan.entries[0].sources] == [f"l_{i}" for i in range(11)]
  assert plan.entries[0].ops == (Stack(11),)


def test_layers_with_padded_numbers_go_to_a_list():
  source = {("params", f"block_{i:02}", "k"): f32(2) for i in range(11)}
  target = {("blocks", i, "k"): f32(2) for i in range(11)}
  plan = make_plan(source, target, ModelMapping((move("params/block_{i:02}/**", "blocks/{i}/**"),)))
  assert {e.sources[0].path[1]: e.targets[0].path[1] for e in plan.entries}["block_10"] == 10


def test_scanned_layers_are_taken_apart():
  source = tree(params__scan__k=f32(3, 2), params__scan__b=f32(3))
  target = {("l", i, n): f32(2) if n == "k" else f32() for i in range(3) for n in "kb"}
  plan = make_plan(source, target, ModelMapping((move("params/scan/**", "l/{i}/**", Unstack()),)))
  assert [t.path for t in plan.entries[0].targets] == [("l", i, "k") for i in range(3)]


def test_gates_of_each_layer_are_joined_and_then_stacked():
  source = {("params", f"l_{i}", n, "k"): f32(2, 3) for i in range(2) for n in "qkv"}
  rule = move(["params/l_{i}/q/k", "params/l_{i}/k/k", "params/l_{i}/v/k"], "l/qkv/k", Concatenate(3), Stack())
  plan = make_plan(source, {"l": {"qkv": {"k": f32(2, 2, 9)}}}, ModelMapping((rule,)))
  assert [s.path[1:3] for s in plan.entries[0].sources] == [(f"l_{i}", n) for i in range(2) for n in "qkv"]


def test_layers_that_differ_are_refused():
  source = {("params", "l_0", "k"): f32(2), ("params", "l_1", "k"): f32(3)}
  assert "Stack of arrays that differ" in refused(source, None, move("params/l_{i}/**", "l/**", Stack()))


def test_missing_layer_is_refused():
  source = {("params", f"l_{i}", "k"): f32(2) for i in (0, 2)}
  assert "lacks 1" in refused(source, None, move("params/l_{i}/**", "l/**", Stack()))


def test_part_of_a_join_missing_is_refused():
  source = tree(params__q=f32(2))
  assert "params/v: is not in the source" in refused(source, None, move(["params/q", "params/v"], "qv", Concatenate()))


def test_everything_wrong_is_found_at_once():
  source = tree(params__a=f32(2, 3), params__b=f32(2), params__c=f32(2), params__e=f32(4))
  target = {"a": f32(3, 2), "b": Spec((2,), "bfloat16"), "d": f32(2)}
  with pytest.raises(MigrateError) as caught:
    make_plan(source, target, ModelMapping((move("params/x", "y"), move("params/e", "z"))))
  assert [(f.rule, f.where.split()[0]) for f in caught.value.findings] == [
    ("L2N203", "params/a"),
    ("L2N203", "params/b"),
    ("L2N203", "params/e"),
    ("L2N204", "rule"),
    ("L2N205", "params/c"),
    ("L2N206", "d"),
  ]
  text = str(caught.value)
  for said in ("Transpose()", "Cast('bfloat16')", "matches nothing", "has no place", "nothing fills"):
    assert said in text


def test_thousand_faults_fit_a_screen():
  source = {("params", f"a{i}"): f32(2) for i in range(1000)}
  with pytest.raises(MigrateError) as caught:
    make_plan(source, {f"b{i}": f32(2) for i in range(1000)}, None)
  assert len(caught.value.findings) == 2000
  assert str(caught.value).count("\n") < 25
  assert "and 997 more" in str(caught.value)


def test_not_strict_tells_instead_of_raising():
  plan = make_plan(tree(params__a=f32(2)), {"b": f32(2)}, None, strict=False)
  assert (plan.unmapped, plan.unfilled, plan.complete) == ((("params", "a"),), (("b",),), False)


def test_two_rules_that_match_one_leaf_are_refused():
  text = refused(tree(params__a=f32(2)), None, move("params/{x}", "x/{x}"), move("params/*", "y/*"))
  assert "rule 1" in text
  assert "rule 2" in text


def test_rule_wins_over_a_rest_pattern_that_contains_it():
  rules = (move("params/**", "m/**"), move("params/a/**", "n/**"), move("params/a/b", "o"))
  plan = make_plan(tree(params__x=f32(2), params__a__c=f32(2), params__a__b=f32(2)), None, ModelMapping(rules))
  assert [t.path for e in plan.entries for t in e.targets] == [("m", "x"), ("n", "c"), ("o",)]


def test_earlier_mapping_wins():
  mappings = [ModelMapping((move("params/a", "x"),)), ModelMapping((move("params/{n}", "y/{n}"),))]
  plan = make_plan(tree(params__a=f32(2), params__b=f32(2)), None, mappings)
  assert [t.path for e in plan.entries for t in e.targets] == [("x",), ("y", "b")]


def test_two_sources_of_one_target_are_refused():
  text = refused(tree(params__w=f32(2), state__w=f32(2)), {"w": f32(2)})
  assert "params/w and state/w both go here" in text


def test_drop_and_fresh_have_reasons():
  plan = make_plan(
    tree(params__old=f32(2)),
    {"new": f32(3)},
    ModelMapping((drop("params/old", because="gone"), fresh("new", because="new"))),
  )
  assert [(e.fate, e.because) for e in plan.entries] == [("drop", "gone"), ("fresh", "new")]
  assert "no reason" in refused(tree(params__a=f32(2)), None, drop("params/a", because=""))


def test_fresh_target_that_a_leaf_would_fill_is_refused():
  assert "one fate" in refused(tree(params__a=f32(2)), {"a": f32(2)}, fresh("a", because="mine"))


def test_tie_needs_a_move_and_equal_specs():
  source = tree(params__e=f32(2), params__o=f32(2))
  plan = make_plan(source, {"e": f32(2)}, ModelMapping((tie("params/o", "e"),)))
  assert [e.fate for e in plan.entries] == ["same", "tie"]
  assert "nothing fills it" in refused(source, None, tie("params/o", "e"), drop("params/e", because="x"))


def test_copy_needs_a_move_and_fills_its_target():
  source, rule = tree(params__e=f32(2, 3)), copy("params/e", "head/kernel", Transpose())
  plan = make_plan(source, {"e": f32(2, 3), "head": {"kernel": f32(3, 2)}}, ModelMapping((rule,)))
  assert [(e.fate, e.targets[0].path) for e in plan.entries] == [("same", ("e",)), ("copy", ("head", "kernel"))]
  assert [e.fate for e in plan.inverse().entries] == ["same", "tie"]
  assert plan.inverse().inverse() == plan
  assert Plan.from_json(plan.to_json()) == plan
  assert "goes nowhere else" in refused(source, None, rule, drop("params/e", because="x"))
  assert "both go here" in refused(tree(params__e=f32(2), params__k=f32(2)), None, copy("params/e", "k"))
  assert "matches nothing" in refused(source, None, copy("params/f", "k"))
  joined = refused(tree(params__a_0=f32(2), params__a_1=f32(2)), None, copy("params/a_{i}", "k", Stack()))
  assert "is not in the target" in joined


def test_rule_of_an_absent_collection_is_idle():
  rules = (move("cache/a/**", "a/**"),)
  assert len(make_plan(tree(params__a=f32(2)), {"a": f32(2)}, ModelMapping(rules)).idle) == 1


@pytest.mark.parametrize(
  ("rule", "said"),
  [
    (move("params/{i}", "a"), "Stack()"),
    (move("params/a", "{i}"), "Unstack()"),
    (move("params/*", "a"), "on one side only"),
    (move("params/{i}/{j}", "a", Stack()), "at most one"),
    (move(["params/{i}", "params/b"], "a"), "different captures"),
  ],
)
def test_rules_that_are_wrong_by_form(rule, said):
  assert said in refused(tree(params__a=f32(2)), None, rule)


def test_cast_and_transpose_agree():
  rules = (move("params/a", "a", Transpose(), Cast("bfloat16")),)
  plan = make_plan(tree(params__a=f32(2, 3)), {"a": Spec((3, 2), "bfloat16")}, ModelMapping(rules))
  assert plan.inverse().entries[0].ops == (Cast("float32", "bfloat16"), Transpose())


def test_arrays_numbers_and_empty_containers():
  source = {"params": {"a": np.zeros((2, 3), np.float32), "n": 3, "none": None, "empty": {}}}
  assert [str(e.sources[0].spec) for e in make_plan(source, None, None).entries] == ["float32[2, 3]", "int64[]"]


def test_ten_thousand_leaves_with_a_thousand_rules_are_quick():
  source = {("params", f"b_{i % 1000}", f"l{i}", "k"): f32(2) for i in range(10_000)}
  target = {(f"c{i % 1000}", f"l{i}", "k"): f32(2) for i in range(10_000)}
  rules = tuple(move(f"params/b_{i}/**", f"c{i}/**") for i in range(1000))
  started = time.process_time()
  make_plan(source, target, ModelMapping(rules))
  assert time.process_time() - started < 3
