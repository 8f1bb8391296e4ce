"""Verdicts add up to the worst; JSON holds no NaN."""

import json

import pytest

from migrate.core.report import Finding
from migrate.core.verdict import Comparison, ExampleReport, LeafDiff, Report, failed, worst

BAD = LeafDiff("call0/x", "different", float("inf"), None, 1e-7, 2.0, "shape")
FINE = LeafDiff("call0/y", "equal", 1e-8, 1.0, 1e-7, 1.0)


@pytest.mark.parametrize(
  ("verdicts", "expected"),
  [
    (["identical", "equal"], "equal"),
    (["equal", "incomplete"], "incomplete"),
    (["incomplete", "different"], "different"),
    (["different", "error"], "error"),
    ([], "incomplete"),
  ],
)
def test_worst(verdicts, expected):
  assert worst(verdicts) == expected


def test_comparison():
  comparison = Comparison((FINE, BAD))
  assert comparison.verdict == "different"
  assert [d.name for d in comparison.different] == ["call0/x"]
  plain = comparison.to_json()
  assert (plain["compared"], plain["identical"], plain["max_abs"]) == (2, 0, "inf")
  assert Comparison().verdict == "incomplete"


def test_report_has_the_fields_of_the_contract():
  report = Report((ExampleReport("m", "different", Comparison((BAD,))), failed("n", Finding("w", "f"))))
  document = json.loads(json.dumps(report.to_json(), allow_nan=False))
  fields = {"name", "verdict", "forward", "collections", "gradients", "leaves", "unmapped", "unfilled", "seconds"}
  assert fields <= set(document["examples"][0])
  assert {"compared", "max_abs", "max_ulp", "noise"} <= set(document["examples"][0]["forward"])
  assert document["verdict"] == "error"
  assert document["findings"][0]["where"] == "w"


def test_proven_needs_an_example():
  assert not Report(()).proven
  assert Report((ExampleReport("m", "equal"),)).proven


def test_difference_in_words():
  assert str(FINE) == "call0/y: max abs 1e-08, noise 1e-07, scale 1"
  assert str(BAD) == "call0/x: shape"
