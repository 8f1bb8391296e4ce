"""One side of a proof as a process: a result, or a finding in the folder."""

import pytest

from migrate.verify.records import load_failure, load_linen
from migrate.workflows import sides


def test_linen_side_leaves_its_record(tmp_path):
  spec = "tests.verify.pairs:two_inputs_example"
  assert sides.main(["linen", spec, "--folder", str(tmp_path), "--name", "two"]) == 0
  assert len(load_linen(tmp_path, arguments=True).calls) == 1
  assert sides.main(["linen", spec, "--folder", str(tmp_path), "--modules", "0"]) == 0
  assert (tmp_path / "modules.pickle").exists()


def test_failure_is_left_as_a_finding(tmp_path):
  assert sides.main(["linen", "tests.verify.pairs:absent", "--folder", str(tmp_path)]) == 3
  assert "absent" in str(load_failure(tmp_path)[0])


def test_fault_of_the_tool_is_a_finding_too(tmp_path, monkeypatch):
  monkeypatch.delenv("LINEN2NNX_DEBUG", raising=False)
  monkeypatch.setattr("migrate.verify.linen_side.record_linen", lambda *a, **k: 1 / 0)
  assert sides.main(["linen", "tests.verify.pairs:two_inputs_example", "--folder", str(tmp_path)]) == 3
  finding = load_failure(tmp_path)[0]
  assert "ZeroDivisionError" in finding.found
  assert "test_sides.py" in finding.do


def test_unknown_side():
  with pytest.raises(SystemExit):
    sides.main(["other"])


def test_both_sides_see_sets_in_one_order(monkeypatch):
  monkeypatch.setenv("PYTHONHASHSEED", "random")
  assert sides._environment()["PYTHONHASHSEED"] == "0"
  monkeypatch.setenv("PYTHONHASHSEED", "7")
  assert sides._environment()["PYTHONHASHSEED"] == "7"
