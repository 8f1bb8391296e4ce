"""npz files: the same bits back, foreign files, damaged ones."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.checkpoint.npz import open_npz, write_npz
from migrate.core.report import MigrateError
from tests.checkpoint.small import check_damaged, check_lazy, check_written


def test_same_bits_and_paths_back(tmp_path):
  check_written(tmp_path / "x", write_npz, open_npz)


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
  check_lazy(tmp_path / "x", write_npz, open_npz)


@pytest.mark.parametrize("seed", range(300))
def test_damaged_file_is_an_error_or_right(tmp_path, seed):
  check_damaged(tmp_path / "x", write_npz, open_npz, np.random.default_rng(seed))


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
