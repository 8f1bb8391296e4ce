"""Formats are told by what is in them."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.checkpoint.detect import FORMATS, detect, open_checkpoint, write_checkpoint
from migrate.core.report import MigrateError
from tests.checkpoint.small import LEAVES, check

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_written_told_and_read(tmp_path, form):
  leaves = {p: v for p, v in LEAVES.items() if v.size and (form != "orbax" or "😀" not in str(p))}
  write_checkpoint(form, tmp_path / "x", leaves)
  assert detect(tmp_path / "x") == form
  check(open_checkpoint(tmp_path / "x"), leaves)


def test_folder_with_a_msgpack_file(tmp_path):
  write_checkpoint("msgpack", tmp_path / "checkpoint", {("a",): np.ones(2)})
  assert list(open_checkpoint(tmp_path).leaves) == [("a",)]


def test_folder_of_checkpoints_takes_the_latest(tmp_path):
  for step in (9, 10):
    write_checkpoint("msgpack", tmp_path / f"checkpoint_{step}", {("step",): np.array(step)})
  (tmp_path / "notes.txt").write_text("mine")
  stored = open_checkpoint(tmp_path)
  assert (stored.step, int(stored.leaves[("step",)].read())) == (10, 10)


@pytest.mark.parametrize("data", [b"", b"hello, this is text", b"\x80\x04pickle"])
def test_what_is_of_no_format(tmp_path, data):
  (tmp_path / "x").write_bytes(data)
  with pytest.raises(MigrateError):
    open_checkpoint(tmp_path / "x")


def test_what_is_not_there(tmp_path):
  with pytest.raises(MigrateError):
    open_checkpoint(tmp_path / "none")
  with pytest.raises(MigrateError, match="no such format"):
    write_checkpoint("pickle", tmp_path / "x", {})
