"""Variables away from their initial values, noise measured."""

import jax
import jax.numpy as jnp
import numpy as np

from migrate.verify.perturb import is_float, largest_change, nudge, perturb


def test_no_float_leaf_stays_and_nothing_else_moves():
  key = jax.random.key(0)
  flat = {
    ("params", "bias"): np.zeros(4, np.float32),
    ("params", "scale"): jnp.ones(4, jnp.bfloat16),
    ("cache", "index"): np.array(3),
    ("cache", "flag"): np.array(True),
    ("rng", "key"): key,
  }
  moved = perturb(flat)
  for path in (("params", "bias"), ("params", "scale")):
    assert moved[path].dtype == flat[path].dtype
    assert (np.asarray(moved[path], float) != np.asarray(flat[path], float)).all()
  assert moved["cache", "index"] == 3
  assert moved["cache", "flag"]
  assert (moved["rng", "key"] == key).all()


def test_variances_stay_positive():
  moved = perturb({("batch_stats", "var"): np.ones(500, np.float32)}, amount=2.0)
  assert moved["batch_stats", "var"].min() > 0


def test_same_at_every_run_and_different_for_each_leaf():
  flat = {("params", n): np.zeros(5) for n in "ab"}
  one, two = perturb(flat), perturb(flat)
  np.testing.assert_array_equal(one["params", "a"], two["params", "a"])
  assert (one["params", "a"] != one["params", "b"]).all()


def test_complex_leaves_move_in_both_parts():
  moved = perturb({("params", "a"): np.ones(3, np.complex64)})["params", "a"]
  assert moved.dtype == np.complex64
  assert (moved.imag != 0).all()


def test_nudge_is_one_ulp_and_spares_whole_numbers():
  x = np.linspace(0.1, 1.9, 50, dtype=np.float32)
  nudged = nudge({"x": x, "spins": np.array([1.0, -1.0]), "ids": np.arange(3)}, 0)
  gap = np.abs(nudged["x"].view(np.int32) - x.view(np.int32))
  assert gap.min() >= 1
  assert gap.max() <= 2
  np.testing.assert_array_equal(nudged["spins"], [1, -1])
  np.testing.assert_array_equal(nudged["ids"], [0, 1, 2])


def test_largest_change_leaves_out_what_is_not_finite():
  base = {"a": np.array([1.0, np.nan]), "n": np.array([1])}
  assert largest_change(base, {"a": np.array([1.5, 2.0]), "n": np.array([9])}) == {"a": 0.5, "n": 0.0}


def test_keys_are_no_floats():
  assert not is_float(jax.random.key(0))
  assert is_float(jnp.ones(1, jnp.bfloat16))
