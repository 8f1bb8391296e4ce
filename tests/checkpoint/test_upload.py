"""Checkpoints into an object store: whole, or nothing."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from migrate.checkpoint.detect import open_checkpoint
from migrate.checkpoint.orbax import write_orbax
from migrate.checkpoint.remote import place_of
from migrate.checkpoint.upload import WRITING, check_remote, uploaded
from migrate.core.report import MigrateError
from migrate.workflows.convert import convert


def state():
  return {"params": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}}


def test_what_a_killed_run_left_is_replaced_and_other_objects_are_not(bucket, tmp_path):
  write_orbax(tmp_path / "linen", state())
  place = place_of(f"{bucket}/nnx")
  (place / WRITING).write_bytes(b"")
  (place / "d/0").write_bytes(b"left")
  with pytest.raises(MigrateError, match="no _METADATA"):
    open_checkpoint(place)
  convert(tmp_path / "linen", f"{bucket}/nnx")
  assert "d/0" not in place_of(f"{bucket}/nnx").names()
  (place_of(f"{bucket}/mine") / "photo.png").write_bytes(b"mine")
  for overwrite in (False, True):
    with pytest.raises(MigrateError, match=r"exists|no checkpoint"):
      convert(tmp_path / "linen", f"{bucket}/mine", overwrite=overwrite)
  assert (place_of(f"{bucket}/mine") / "photo.png").read_bytes() == b"mine"


def interrupted(place):
  with uploaded(place) as folder:
    (folder / "a").write_text("a")
    raise KeyboardInterrupt


def test_nothing_stays_of_what_failed(bucket, tmp_path):
  write_orbax(tmp_path / "linen", state())
  shutil.rmtree(tmp_path / "linen" / "d")
  with pytest.raises(MigrateError):
    convert(tmp_path / "linen", f"{bucket}/nnx")
  assert place_of(f"{bucket}/nnx").names() == []
  with pytest.raises(KeyboardInterrupt):
    interrupted(place_of(f"{bucket}/nnx"))
  assert place_of(f"{bucket}/nnx").names() == []


def test_the_source_or_inside_it_is_refused(bucket):
  for one, other in (("a", "a/b"), ("a/b", "a"), ("a", "a")):
    with pytest.raises(MigrateError, match="is the source"):
      check_remote(place_of(f"{bucket}/{one}"), place_of(f"{bucket}/{other}"), True)
  check_remote(place_of(f"{bucket}/a"), place_of(f"{bucket}/ab"), False)
