"""An installation that is too old is named before anything slow is imported."""

import importlib.metadata

import pytest

from migrate.core.report import MigrateError
from migrate.versions import check_versions, numbers


@pytest.mark.parametrize(
  ("text", "expected"), [("0.12.8", (0, 12, 8)), ("0.12.0.dev3", (0, 12, 0)), ("1", (1,)), ("unknown", ())]
)
def test_leading_numbers(text, expected):
  assert numbers(text) == expected


def test_installed_versions_pass():
  check_versions()


def test_old_flax_is_refused_with_what_to_do(monkeypatch):
  monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.11.2" if name == "flax" else "99.0")
  with pytest.raises(MigrateError) as caught:
    check_versions()
  (finding,) = caught.value.findings
  assert (finding.where, finding.found) == ("flax", "version 0.11.2 is installed")
  assert finding.wanted == "flax 0.12 or newer"
  assert finding.do == "pip install --upgrade 'flax>=0.12'"


def test_missing_package_is_named():
  with pytest.raises(MigrateError, match="no-such-distribution: is not installed"):
    check_versions({"no-such-distribution": (1,)})
