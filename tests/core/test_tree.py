"""Flat trees and specs."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from migrate.core.report import MigrateError
from migrate.core.tree import NOTHING, Spec, flatten, leaves_of, nest, spec_of

Pair = collections.namedtuple("Pair", ["left", "right"])
Empty = collections.namedtuple("Empty", [])


def test_flatten_takes_what_states_are_made_of():
  tree = {"a": [1, {"b": 2}], "c": Pair(3, (4,)), "d": None, "e": Empty(), "f": {}}
  assert flatten(tree) == {("a", 0): 1, ("a", 1, "b"): 2, ("c", "left"): 3, ("c", "right", 0): 4}


def test_flat_trees_stay():
  flat = {("a", 0): 1}
  assert flatten(flat) == flat
  assert flatten(nest(flat)) == flat


def test_specs_are_leaves_though_they_are_tuples():
  assert flatten({"a": Spec((2,), "float32")}) == {("a",): Spec((2,), "float32")}


@pytest.mark.parametrize(
  ("leaf", "spec"),
  [
    (np.zeros((2, 3), np.float16), Spec((2, 3), "float16")),
    (3, Spec((), "int64")),
    (True, Spec((), "bool")),
    (NOTHING, NOTHING),
  ],
)
def test_spec_of(leaf, spec):
  assert spec_of(leaf) == spec


def test_what_is_no_array_is_named():
  with pytest.raises(MigrateError, match="is not an array"):
    spec_of("text")


def test_paths_that_differ_by_the_kind_of_a_key_are_refused():
  with pytest.raises(MigrateError, match="two leaves"):
    leaves_of({("a", 0): 1, ("a", "0"): 2}, "source")
