"""Random state told from other leaves."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from migrate.core.report import MigrateError
from migrate.workflows.random_leaves import check_policy, dropped_keys, linen_keys, nnx_streams

PAIR = np.zeros(2, np.uint32)


def test_root_keys_are_typed_or_named_so():
  leaves = {
    ("params", "key"): PAIR,
    ("dropout_rng",): PAIR,
    ("prng", "KEY"): np.zeros((8, 4), np.uint32),
    ("other",): PAIR,
    ("typed",): jax.random.key(0),
    ("rng_steps",): np.zeros(2, np.int32),
    ("key",): np.zeros(3, np.uint32),
  }
  assert linen_keys(leaves) == (("dropout_rng",), ("prng", "KEY"))
  assert linen_keys(leaves, [("typed",)]) == (("dropout_rng",), ("prng", "KEY"), ("typed",))


def test_streams_are_a_key_and_a_count():
  leaves = {
    ("drop", "rngs", "key"): PAIR,
    ("drop", "rngs", "count"): np.zeros((), np.uint32),
    ("attention", "key"): PAIR,
    ("attention", "count"): np.zeros((), np.int32),
    ("more", "key"): PAIR,
    ("more", "count"): np.zeros((), np.uint32),
    ("more", "kernel"): PAIR,
  }
  assert nnx_streams(leaves) == {("drop", "rngs", "key"), ("drop", "rngs", "count")}


def test_rules_take_names_as_they_are():
  (rule,) = dropped_keys((("{key}",),), "drop").rules
  assert rule.source == (("{{key}}",),)
  assert rule.because


def test_policies_are_three():
  check_policy(None)
  check_policy("carry")
  with pytest.raises(MigrateError, match="drop, carry, reseed"):
    check_policy("keep")
