"""Inspection of a checkpoint."""

from __future__ import annotations

import json

import numpy as np
import pytest

from migrate.checkpoint.npz import write_npz
from migrate.core.report import MigrateError
from migrate.workflows.inspect import inspect_checkpoint


def test_tree_sizes_and_totals(tmp_path):
  leaves = {("params", f"l_{i}", "k"): np.ones((2, 3), np.float32) for i in (10, 9)}
  write_npz(tmp_path / "x", {**leaves, ("step",): np.array(3), ("opt_state",): None})
  found = inspect_checkpoint(tmp_path / "x")
  assert (found.format, found.kind, found.nbytes) == ("npz", "linen", 56)
  assert [p[1] for p, _, _ in found.leaves if p[0] == "params"] == ["l_9", "l_10"]
  text = found.render()
  assert "float32[2, 3]" in text
  assert "params: 2 leaves, 12 numbers, 48 B" in text
  assert "total: 3 leaves, 56 B" in text
  data = json.loads(json.dumps(found.to_json()))
  assert data["total"] == {"leaves": 3, "bytes": 56, "elements": 13}
  assert data["empty"] == [["opt_state"]]


def test_kinds(tmp_path):
  write_npz(tmp_path / "n", {("model", "a"): np.ones(2)})
  write_npz(tmp_path / "o", {("a",): np.ones(2)})
  assert [inspect_checkpoint(tmp_path / n).kind for n in "no"] == ["nnx", "other"]


def test_nothing_there(tmp_path):
  with pytest.raises(MigrateError):
    inspect_checkpoint(tmp_path / "x")
