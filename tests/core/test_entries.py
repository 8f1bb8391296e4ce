"""Plans as values: JSON, inverse, table."""

from __future__ import annotations

import json

import pytest

from migrate.core.declare import ModelMapping, drop, fresh, move
from migrate.core.entries import Plan
from migrate.core.ops import Stack, Transpose
from migrate.core.plan import make_plan
from migrate.core.report import MigrateError
from migrate.core.tree import Spec

SOURCE = {("params", f"l_{i}", "k"): Spec((2, 3), "float32") for i in range(2)} | {("params", "x"): Spec((1,), "int8")}
MAPPING = ModelMapping((move("params/l_{i}/k", "l", Transpose(), Stack()), drop("params/x", because="old")))
TARGET = {("l",): Spec((2, 3, 2), "float32"), ("new", 0): Spec((), "float32")}
PLAN = make_plan(SOURCE, TARGET, ModelMapping((*MAPPING.rules, fresh("new/**", because="head"))))


def test_json_both_ways():
  assert Plan.from_json(json.dumps(PLAN.to_json())) == PLAN
  loose = make_plan(SOURCE, {("y",): Spec((1,), "int8")}, None, strict=False)
  assert Plan.from_json(json.loads(json.dumps(loose.to_json()))) == loose


def test_inverse_of_the_inverse_is_the_same_work():
  back = PLAN.inverse()
  assert back.direction == "nnx->linen"
  assert sorted(e.fate for e in back.entries) == ["drop", "fresh", "move"]
  again = back.inverse()
  assert [(e.fate, e.sources, e.targets) for e in again.entries] == [
    (e.fate, e.sources, e.targets) for e in PLAN.entries
  ]


def test_table_has_a_row_for_every_fate():
  rows = PLAN.rows()
  assert [r[0] for r in rows] == ["drop", "move", "fresh"]
  assert rows[1][1] == "params/l_0/k + params/l_1/k"


@pytest.mark.parametrize(
  "change",
  [
    lambda d: [],
    lambda d: {**d, "version": 9},
    lambda d: {**d, "entries": 3},
    lambda d: {**d, "entries": [{"fate": "steal"}]},
    lambda d: {**d, "entries": [{"fate": "same", "sources": [{"path": [None], "shape": [], "dtype": "x"}]}]},
    lambda d: {**d, "entries": [{"fate": "same", "sources": [{"path": ["a"], "shape": [-1], "dtype": "x"}]}]},
    lambda d: {**d, "entries": [{"fate": "same", "ops": [{"op": "eval"}]}]},
    lambda d: {**d, "findings": [{"nothing": 1}]},
    lambda d: "not json",
  ],
)
def test_what_is_no_plan(change):
  with pytest.raises(MigrateError):
    Plan.from_json(change(PLAN.to_json()))
