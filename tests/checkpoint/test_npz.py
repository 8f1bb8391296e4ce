"""npz files: the same bits back, foreign files, damaged ones."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.checkpoint.npz import open_npz, write_npz
from migrate.core.report import MigrateError
from tests.checkpoint.small import LEAVES, check, mangled, one_screen


def test_same_bits_and_paths_back(tmp_path):
  write_npz(tmp_path / "x", {**LEAVES, ("opt_state", 0): None})
  stored = open_npz(tmp_path / "x")
  check(stored)
  assert set(stored.leaves) == set(LEAVES)
  assert stored.empty == (("opt_state", 0),)


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
  write_npz(tmp_path / "x", LEAVES)
  stored = open_npz(tmp_path / "x")
  (tmp_path / "x").write_bytes(b"")
  with pytest.raises((MigrateError, ValueError)):
    stored.leaves[("params", "Dense_0", "kernel")].read()


@pytest.mark.parametrize("seed", range(300))
def test_damaged_file_is_an_error_or_right(tmp_path, seed):
  rng = np.random.default_rng(seed)
  write_npz(tmp_path / "x", LEAVES)
  (tmp_path / "x").write_bytes(mangled((tmp_path / "x").read_bytes(), rng))
  try:
    for leaf in open_npz(tmp_path / "x").leaves.values():
      leaf.read()
  except MigrateError as error:
    one_screen(error)


def test_foreign_file(tmp_path):
  np.savez(tmp_path / "x.npz", **{"params/a/b": np.ones(2), "c": np.zeros(())})  # type: ignore[arg-type]
  assert list(open_npz(tmp_path / "x.npz").leaves) == [("params", "a", "b"), ("c",)]


def test_pickles_are_never_loaded(tmp_path):
  class Bomb:
    def __reduce__(self):
      return (exec, ("raise SystemExit",))

  np.savez(tmp_path / "x.npz", a=np.array([Bomb()], dtype=object))
  with pytest.raises(MigrateError):
    open_npz(tmp_path / "x.npz").leaves[("a",)].read()
