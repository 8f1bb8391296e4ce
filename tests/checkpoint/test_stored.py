"""Flat and nested trees of a checkpoint."""

from __future__ import annotations

import pytest

from migrate.checkpoint.stored import checked_shape, listed, ordered
from migrate.core.report import MigrateError


def test_lists_where_all_keys_are_integers():
  flat = {("a", 2): "c", ("a", 0): "a", ("b", "0"): "x", ("c", 0): "y", ("c", "d"): "z"}
  assert listed(flat) == {"a": ["a", None, "c"], "b": {"0": "x"}, "c": {"0": "y", "d": "z"}}
  assert ordered(flat) == {
    ("a", 0): "a",
    ("a", 1): None,
    ("a", 2): "c",
    ("b", "0"): "x",
    ("c", "0"): "y",
    ("c", "d"): "z",
  }


@pytest.mark.parametrize("paths", [[("a",), ("a", "b")], [("a", "b"), ("a",)], [("a", 0), ("a", 0, "b", 1)]])
def test_leaf_that_goes_on_is_refused(paths):
  with pytest.raises(MigrateError, match="so is a part of it"):
    listed(dict.fromkeys(paths, 1))


@pytest.mark.parametrize("shape", [None, [-1], [1.0], [True], ["2"], [1 << 50], [1] * 65, [1 << 20] * 5])
def test_shapes_that_cannot_be(shape):
  with pytest.raises(MigrateError):
    checked_shape("x", shape)


def test_shapes_that_can():
  assert checked_shape("x", [0, 3]) == (0, 3)
  assert checked_shape("x", []) == ()
