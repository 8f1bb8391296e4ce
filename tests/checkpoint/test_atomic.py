"""Destinations that are whole, or not there."""

from __future__ import annotations

import os

import pytest

from migrate.checkpoint.atomic import check_destination, whole_or_nothing
from migrate.core.report import MigrateError


def names(folder):
  return sorted(p.name for p in folder.iterdir())


def fails(target, error):
  with whole_or_nothing(target, overwrite=True) as temporary:
    temporary.mkdir()
    raise error


@pytest.mark.parametrize("folder", [True, False])
def test_appears_when_whole(tmp_path, folder):
  with whole_or_nothing(tmp_path / "deep" / "x") as temporary:
    if folder:
      temporary.mkdir()
    else:
      temporary.write_text("a")
    assert not (tmp_path / "deep" / "x").exists()
  assert names(tmp_path / "deep") == ["x"]


def test_vanishes_where_it_fails(tmp_path):
  with pytest.raises(ZeroDivisionError):
    fails(tmp_path / "x", ZeroDivisionError())
  assert names(tmp_path) == []


def test_old_one_is_kept_where_it_fails(tmp_path):
  (tmp_path / "x").write_text("old")
  with pytest.raises(ZeroDivisionError):
    fails(tmp_path / "x", ZeroDivisionError())
  assert (tmp_path / "x").read_text() == "old"


def test_full_disk_is_named(tmp_path):
  with pytest.raises(MigrateError, match="No space left"):
    fails(tmp_path / "x", OSError(28, os.strerror(28)))
  assert names(tmp_path) == []


def test_what_a_killed_process_left_is_removed(tmp_path):
  gone = 2**22 - 1
  (tmp_path / f".x.{gone}.linen2nnx-tmp").mkdir()
  (tmp_path / f".y.{gone}.linen2nnx-old").write_text("whole")
  for name in "xy":
    with whole_or_nothing(tmp_path / name, overwrite=True) as temporary:
      assert name == "x" or (tmp_path / "y").read_text() == "whole"
      temporary.write_text("new")
  assert names(tmp_path) == ["x", "y"]


def test_destinations_that_are_refused(tmp_path):
  source = tmp_path / "src"
  source.mkdir()
  for target in (source, source / "in", tmp_path):
    with pytest.raises(MigrateError, match="is the source"):
      check_destination(source, target, True)
  (tmp_path / "link").symlink_to(source)
  with pytest.raises(MigrateError, match="is the source"):
    check_destination(source, tmp_path / "link", True)
  (tmp_path / "there").mkdir()
  with pytest.raises(MigrateError, match="exists"):
    check_destination(source, tmp_path / "there", False)
  (tmp_path / "file").write_text("")
  with pytest.raises(MigrateError, match="cannot be written to"):
    check_destination(source, tmp_path / "file" / "x", False)
