"""The corpus as data: its cases are well formed, and its scoreboard counts what the results say."""

import importlib
import re
import sys
from pathlib import Path

import pytest

CORPUS = Path(__file__).parent / "corpus"


@pytest.fixture(scope="module")
def corpus():
  """Modules of tests/corpus, which import one another as scripts do."""
  before = list(sys.path)
  sys.path.insert(0, str(CORPUS))
  try:
    yield {name: importlib.import_module(name) for name in ("cases", "examples", "scoreboard", "run")}
  finally:
    sys.path[:] = before


def result(case="a", package="lib", verdict="identical", **more):
  """A result as run.py writes it."""
  fields = {"id": case, "package": package, "verdict": verdict, "hoisted": [], "findings": [], "commit": "a1b2"}
  return {**fields, **more}


def test_every_case_is_an_example_function(corpus):
  ids = [case.id for case in corpus["cases"].CASES]
  assert len(ids) == len(set(ids)) >= 100
  assert [i for i in ids if not callable(getattr(corpus["examples"], i, None))] == []
  assert [i for i in ids if not i.isidentifier()] == []


def test_every_library_is_pinned(corpus):
  pinned = (CORPUS / "requirements.txt").read_text().lower().replace("_", "-").splitlines()
  assert [p["req"] for p in corpus["cases"].PACKAGES.values() if p["req"].lower() not in pinned] == []


def test_cases_are_chosen_by_part_and_by_library(corpus):
  chosen = corpus["run"].chosen
  assert {c.package for c in chosen([], ["netket"])} == {"netket"}
  assert all("bert" in c.id for c in chosen(["bert"], []))
  assert len(chosen([], [])) == len(corpus["cases"].CASES)


@pytest.mark.parametrize(
  ("report", "code", "verdict"),
  [
    ({"examples": [{"verdict": "identical"}]}, 0, "identical"),
    ({"examples": [{"verdict": "equal"}]}, 1, "equal, but not proven"),
    ({"examples": [{"verdict": "different"}]}, 1, "different"),
    ({"examples": [], "findings": [{"where": "a", "found": "b"}]}, 1, "refused"),
  ],
)
def test_verdict_of_a_report(corpus, report, code, verdict):
  assert corpus["run"].summary(report, code)["verdict"] == verdict


def test_scoreboard_counts_by_library_and_cause(corpus):
  found = {"where": "m.py:3", "found": "layer 'a' has 3 | shapes", "severity": "error"}
  other = {**found, "found": "layer 'b' has 14 | shapes"}
  results = [
    result("one"),
    result("two", verdict="equal", hoisted=["Block.in_features"]),
    result("three", package="other", verdict="refused", findings=[found]),
    result("four", package="other", verdict="incomplete", findings=[other, found], commit="c3d4"),
  ]
  page = corpus["scoreboard"].page(results)
  assert (
    "**2 of 4 proven: 1 identical, 1 equal, 1 incomplete, 1 refused.** At commits a1b2 (3 cases), c3d4 (1 cases)."
    in page
  )
  assert "| lib | 2 | 2 | 1 | 1 |" in page
  assert "| other | 2 | 0 | 0 | 0 |" in page
  assert "| layer _ has # / shapes | 2 | three |" in page
  assert "| lib | two | equal | Block.in_features |  |" in page
  assert "m.py:3: layer 'b' has 14 / shapes and 1 more |" in page
  rows = [line for line in page.splitlines() if line.startswith("|")]
  assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {4, 6}


@pytest.mark.parametrize(
  ("where", "shown"),
  [
    ("/somewhere/lib/python3.11/site-packages/pkg/mod.py:3", "pkg/mod.py:3: x"),
    ("/somewhere/.work/corpus/case/.out-ab12/ported.py:3", "ported.py:3: x"),
    ("/somewhere/else/mod.py:3", "mod.py:3: x"),
    ("pkg_nnx/mod.py:3", "pkg_nnx/mod.py:3: x"),
    ("params/Dense_0/kernel", "params/Dense_0/kernel: x"),
  ],
)
def test_scoreboard_holds_no_folder_of_the_machine(corpus, where, shown):
  assert corpus["scoreboard"].short({"where": where, "found": "x"}) == shown
