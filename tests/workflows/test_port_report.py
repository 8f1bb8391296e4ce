"""What a port's report calls proven, and what it names."""

from __future__ import annotations

import json
import types

import pytest

from migrate.core.report import Finding
from migrate.core.verdict import ExampleReport
from migrate.workflows.port_report import PortReport, imports_linen

CLEAN = "from flax import nnx\n\n\nclass A(nnx.Module):\n  pass\n"
LINEN = "import flax.linen as nn\n"
PROVEN = ExampleReport("tiny", "equal")


def made(files=None, examples=(PROVEN,), findings=(), left=()):
  info = types.SimpleNamespace(module="pkg.a", name="A")
  result = types.SimpleNamespace(info=info, hoisted=["features"])
  rewriting = types.SimpleNamespace(results={"A": result}, left=list(left), findings=list(findings))
  project = types.SimpleNamespace(classes={"A": info})
  return PortReport.make(rewriting, project, files or {"pkg_nnx/a.py": CLEAN}, examples, 1.234)


def test_everything_proven():
  report = made({"pkg_nnx/a.py": CLEAN, "ported.py": CLEAN, "mapping.json": "{}"})
  assert report.ok
  assert report.exit_code == 0
  assert report.source["files"] == ["pkg_nnx/a.py"]
  assert report.source["rewritten"] == report.source["classes"] == ["pkg.a.A"]
  assert report.source["hoisted"] == ["pkg.a.A.features"]
  assert report.findings == []


@pytest.mark.parametrize(
  "report",
  [
    made(examples=()),
    made(examples=(ExampleReport("a", "identical"), ExampleReport("b", "different"))),
    made(examples=(ExampleReport("a", "incomplete"),)),
    made(findings=[Finding("a.py:3", "not known")]),
    made(left=["pkg.a.B"]),
    made({"pkg_nnx/a.py": LINEN}),
  ],
)
def test_what_is_not_proven_exits_1(report):
  assert not report.ok
  assert report.exit_code == 1
  assert report.to_json()["ok"] is False


def test_notes_are_no_errors_and_are_said_once():
  note = Finding("a.py:3", "look here", severity="eye")
  report = made(findings=[note, note])
  assert report.ok
  assert report.findings == [note]


def test_files_that_still_import_linen_are_named():
  report = made({f"pkg_nnx/{n}.py": LINEN for n in "abcdefg"} | {"pkg_nnx/z.py": CLEAN})
  assert report.source["linen_imports_left"] == [f"pkg_nnx/{n}.py" for n in "abcdefg"]
  (finding,) = report.findings
  assert finding.where == "pkg_nnx/a.py, pkg_nnx/b.py, pkg_nnx/c.py, pkg_nnx/d.py, pkg_nnx/e.py and 2 more"
  assert "flax.linen" in finding.found
  assert "z.py" not in finding.where
  report.findings.clear()
  assert not report.ok


def test_todos_are_found_by_line():
  assert made({"a.py": CLEAN + "# TODO(linen2nnx): look\n"}).source["todo"] == ["a.py:6"]


def test_the_json_has_what_users_read_in_it():
  example = ExampleReport("tiny", "equal", findings=(Finding("tiny", "slow", severity="note"),))
  report = made(examples=(example,), findings=[Finding("a.py:1", "odd", severity="eye")])
  report.checkpoint = {"step": 3}
  document = json.loads(json.dumps(report.to_json()))
  assert {"version", "ok", "verdict", "examples", "source", "seconds", "checkpoint", "findings"} <= set(document)
  assert [f["found"] for f in document["findings"]] == ["odd", "slow"]
  assert document["seconds"] == 1.23


@pytest.mark.parametrize(
  ("text", "linen"),
  [
    ("import flax.linen", True),
    ("import flax.linen as nn", True),
    ("import flax.linen.partitioning as p", True),
    ("from flax import linen as nn", True),
    ("from flax.linen import Dense", True),
    ("from flax.linen.initializers import zeros", True),
    ("def f():\n  import flax.linen", True),
    ("import flax\nflax.linen.Dense(3)", True),
    ("import flax as fx\nfx.linen.Dense(3)", True),
    ("import flax.core\nflax.linen.Dense(3)", True),
    ("import flax\nflax.nnx.Linear", False),
    ("from flax import nnx", False),
    ("from .linen import x", False),
    ("import flaxlinen, mine\nmine.linen.Dense", False),
    ("'import flax.linen'  # flax.linen", False),
  ],
)
def test_what_imports_linen(text, linen):
  assert imports_linen(text) is linen
