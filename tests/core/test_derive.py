"""Mappings read from right to left."""

from __future__ import annotations

import pytest

from migrate.core.declare import ModelMapping, copy, drop, move, tie
from migrate.core.derive import derive_source
from migrate.core.ops import Concatenate, Reshape, Stack, Transpose, Unstack
from migrate.core.plan import make_plan
from migrate.core.report import MigrateError
from migrate.core.tree import Spec


def f32(*shape: int) -> Spec:
  return Spec(shape, "float32")


RULES = (
  move("params/BatchNorm_{i}/**", "norms/{i}/**"),
  move("batch_stats/BatchNorm_{i}/**", "norms/{i}/**"),
  move("params/l_{i}/**", "layers/**", Stack()),
  move("params/scan/**", "list/{i}/**", Unstack()),
  move(["params/q", "params/v"], "qv", Concatenate(2)),
  tie("params/head", "embed"),
  tie("params/turned", "table", Transpose((1, 0))),
  copy("params/table", "head/kernel", Transpose((1, 0))),
)
SOURCE = {
  ("params", "BatchNorm_0", "scale"): f32(2),
  ("batch_stats", "BatchNorm_0", "mean"): f32(2),
  ("params", "l_0", "k"): f32(2),
  ("params", "l_1", "k"): f32(2),
  ("params", "scan", "k"): f32(3, 2),
  ("params", "q"): f32(2),
  ("params", "v"): f32(2),
  ("params", "embed"): f32(2),
  ("params", "head"): f32(2),
  ("params", "table"): f32(2, 3),
  ("params", "turned"): f32(3, 2),
  ("state", "n"): f32(),
}


def test_derivation_is_the_source():
  mapping = ModelMapping(RULES)
  target = {t.path: t.spec for e in make_plan(SOURCE, None, mapping).entries if e.fate != "tie" for t in e.targets}
  found = derive_source(target, mapping, {("norms", "0", "mean"): "batch_stats", ("n",): "state"})
  assert found == SOURCE


def test_operation_without_an_inverse_is_named():
  mapping = ModelMapping((move("params/a", "a", Reshape((-1,))),))
  with pytest.raises(MigrateError, match="cannot be undone"):
    derive_source({"a": f32(6)}, mapping, {})


def test_dropped_leaves_do_not_come_back():
  mapping = ModelMapping((drop("params/gone", because="x"),))
  assert derive_source({"a": f32(2)}, mapping, {}) == {("params", "a"): f32(2)}
