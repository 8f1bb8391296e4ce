"""Sizes that cannot be are refused before memory is taken; whatever was really saved passes."""

from __future__ import annotations

import json

import numpy as np
import orbax.checkpoint as ocp
import pytest
import tensorstore as ts

from migrate.checkpoint.orbax import open_tree
from migrate.checkpoint.plausible import check_plausible, folder_size, memory
from migrate.core.report import MigrateError

pytestmark = pytest.mark.filterwarnings("ignore")


def edited(folder, **changes):
  with ocp.StandardCheckpointer() as c:
    c.save(folder, {"a": np.ones((3, 4), np.float32)})
  store = ts.KvStore.open({"driver": "ocdbt", "base": f"file://{folder}/"}).result()
  data = json.loads(store.read("a/.zarray").result().value)
  store.write("a/.zarray", json.dumps({**data, **changes}).encode()).result()
  return open_tree(folder).leaves[("a",)]


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"shape": [1 << 23, 1 << 22], "chunks": [1 << 23, 1 << 22]}, "this machine has"),
    ({"chunks": [1 << 23, 1 << 22]}, "this machine has"),
    ({"shape": [1 << 20, 64]}, "5592416 chunks, and 1 are there"),
    ({"shape": [4000, 4000], "chunks": [1, 1]}, "16000000 chunks"),
    ({"shape": [1 << 20, 64], "chunks": [1 << 20, 64]}, "stored"),
  ],
)
def test_edited_sizes_are_refused(tmp_path, changes, said):
  with pytest.raises(MigrateError, match=said):
    edited(tmp_path / "x", **changes).read()


def test_zeros_compress_and_are_read(tmp_path):
  with ocp.StandardCheckpointer() as c:
    c.save(tmp_path / "x", {"a": np.zeros(30 << 20, np.int8)})
  assert folder_size(tmp_path / "x") < 100_000
  assert not open_tree(tmp_path / "x").leaves[("a",)].read().any()


def test_sizes_are_asked_for_only_where_something_is_odd(tmp_path):
  (tmp_path / "data").write_bytes(b"\1" * 1_000_000)

  def never():
    raise AssertionError("asked")

  check_plausible("x", (1 << 20, 4), (1 << 20, 4), 4, tmp_path, never)
  check_plausible("x", (5,), (5,), 4, tmp_path / "none", never)
  with pytest.raises(MigrateError, match="0 stored"):
    check_plausible("x", (1 << 26,), (1 << 26,), 4, tmp_path, lambda: [0])


def test_what_is_only_renamed_is_refused_too(tmp_path):
  with pytest.raises(MigrateError, match="stored"):
    edited(tmp_path / "x", shape=[1 << 20, 64], chunks=[1 << 20, 64])


def test_memory_is_that_of_a_machine():
  assert memory() > 1 << 28
