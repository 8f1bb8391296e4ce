"""Translation, leaf by leaf."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.core.declare import ModelMapping, copy, drop, fresh, move, tie
from migrate.core.ops import Reshape, Stack
from migrate.core.plan import make_plan
from migrate.core.report import MigrateError
from migrate.core.translate import translate

SOURCE = {"params": {"l_0": np.array([1.0, np.nan]), "l_1": np.array([3.0, -0.0]), "b": np.array(5)}}
MAPPING = ModelMapping((move("params/l_{i}", "l", Stack()),))


class Watched:
  def __init__(self, array, log):
    self.shape, self.dtype, self.array, self.log = array.shape, array.dtype, array, log

  def read(self):
    self.log.append(self.array)
    return self.array


def test_both_ways_to_the_bit():
  plan = make_plan(SOURCE, None, MAPPING)
  there = dict(translate(plan, SOURCE))
  back = dict(translate(plan.inverse(), there))
  assert sorted(there) == [("b",), ("l",)]
  assert {p: a.tobytes() for p, a in back.items()} == {("params", n): a.tobytes() for n, a in SOURCE["params"].items()}


def test_nothing_is_read_before_it_is_needed():
  log = []
  source = {("params", n): Watched(a, log) for n, a in SOURCE["params"].items()}
  stream = translate(make_plan(source, None, MAPPING), source)
  assert not log
  next(stream)
  assert len(log) == 1


def test_tree_that_is_not_the_planned_one_is_refused():
  plan = make_plan(SOURCE, None, MAPPING)
  other = {"params": {**SOURCE["params"], "b": np.array(5.0)}}
  with pytest.raises(MigrateError, match="params/b"):
    dict(translate(plan, other))
  with pytest.raises(MigrateError, match="is missing"):
    dict(translate(plan, {"params": {}}))


def test_drop_and_fresh_yield_nothing():
  plan = make_plan(
    {("params", "a"): np.zeros(2)},
    {"b": np.zeros(2)},
    ModelMapping((drop("params/a", because="x"), fresh("b", because="y"))),
  )
  assert dict(translate(plan, {("params", "a"): np.zeros(2)})) == {}


def test_copies_must_be_equal_on_the_way_back():
  source = {("params", "l_0"): np.arange(2.0), ("params", "l_1"): np.ones(2)}
  rules = (move("params/l_{i}", "layers", Stack()), copy("params/l_1", "twin/last", Reshape((1, 2))))
  plan = make_plan(source, None, ModelMapping(rules))
  there = dict(translate(plan, source))
  np.testing.assert_array_equal(there["twin", "last"], [[1, 1]])
  back = dict(translate(plan.inverse(), there))
  assert list(back) == list(source)
  np.testing.assert_array_equal(back["params", "l_1"], source["params", "l_1"])
  there["twin", "last"] = np.array([[1, -0.0]])
  with pytest.raises(
    MigrateError, match=r"(?s)twin/last: differs from what layers has for params/l_1.*share one Variable"
  ):
    dict(translate(plan.inverse(), there))


def test_tied_leaves_must_be_equal_and_both_come_back():
  source = {("params", "e"): np.arange(2.0), ("params", "o"): np.arange(2.0)}
  plan = make_plan(source, None, ModelMapping((tie("params/o", "e"),)))
  there = dict(translate(plan, source))
  assert sorted(there) == [("e",)]
  assert sorted(dict(translate(plan.inverse(), there))) == [("params", "e"), ("params", "o")]
  source[("params", "o")] = np.ones(2)
  with pytest.raises(MigrateError, match="differs"):
    dict(translate(plan, source))
