"""Records of both sides go through files unchanged."""

import numpy as np

from migrate.core.report import Finding
from migrate.verify.draws import Draw
from migrate.verify.records import (
  CallPlan,
  CallRecord,
  LinenRecord,
  NnxRecord,
  load_linen,
  load_nnx,
  save_linen,
  save_nnx,
)

CALL = CallRecord(
  {"out": np.ones(2)},
  {"n": 3},
  1,
  {("params", "a/b"): np.zeros(1)},
  {("params", "a/b"): np.ones(1)},
  {"outputs": {"out": 1e-7}, "after": {}, "grads": {("params", "a/b"): 2e-7}},
  (Draw("dropout", "a/b", 7),),
  "",
  ("note",),
)


def test_linen_record(tmp_path):
  plan = CallPlan((1, "x"), {"train": True}, ("dropout",), ["batch_stats"], None)
  variables, findings = {("params", "a/b"): np.ones(3)}, (Finding("w", "f"),)
  save_linen(tmp_path, LinenRecord(variables, ("params", "dropout"), [plan], [CALL], findings))
  back = load_linen(tmp_path, arguments=True)
  assert back.plans == [plan]
  assert back.streams == ("params", "dropout")
  assert back.findings == (Finding("w", "f"),)
  call = back.calls[0]
  assert (call.noise, call.draws, call.notes) == (CALL.noise, CALL.draws, ("note",))
  assert (call.plain, call.opaque) == ({"n": 3}, 1)
  assert list(call.after) == [("params", "a/b")]


def test_nnx_record(tmp_path):
  save_nnx(tmp_path, NnxRecord([CALL], 3, ("params/lost",), ("other",)))
  back = load_nnx(tmp_path)
  assert (back.leaves, back.unmapped, back.unfilled) == (3, ("params/lost",), ("other",))
  np.testing.assert_array_equal(back.calls[0].grads["params", "a/b"], [1])
