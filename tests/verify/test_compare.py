"""Arrays compared: shapes, dtypes, NaN, units in the last place, noise."""

import jax.numpy as jnp
import numpy as np
import pytest

from migrate.verify.compare import compare, compare_arrays, compare_named, tolerance, ulps
from migrate.verify.records import CallRecord, LinenRecord, NnxRecord

ONE = np.ones(3, np.float32)


def test_bitwise():
  assert compare_arrays("x", ONE, ONE.copy()).state == "identical"


def test_one_ulp_is_equal():
  diff = compare_arrays("x", ONE, np.nextafter(ONE, np.float32(2)))
  assert (diff.state, diff.max_ulp) == ("equal", 1.0)


def test_scalars():
  assert compare_arrays("x", np.float32(1), np.float32(2)).state == "different"
  assert compare_arrays("x", np.int32(1), np.int32(2)).state == "different"


def test_noise_decides():
  other = ONE + np.float32(1e-4)
  assert compare_arrays("x", ONE, other, noise=1e-6).state == "different"
  assert compare_arrays("x", ONE, other, noise=2e-5).state == "equal"


@pytest.mark.parametrize(
  ("other", "why"),
  [
    (np.ones((3, 1), np.float32), "shape"),
    (np.ones(3, np.float16), "dtype"),
    (np.array([1, np.nan, 1], np.float32), "NaN"),
  ],
)
def test_what_cannot_be_subtracted(other, why):
  diff = compare_arrays("x", ONE, other, noise=100.0)
  assert diff.state == "different"
  assert why in diff.why


def test_nan_at_the_same_places_is_no_difference():
  a = np.array([1, np.nan], np.float32)
  assert compare_arrays("x", a, a.copy()).state == "identical"
  assert compare_arrays("x", a, np.array([np.nextafter(np.float32(1), 2), np.nan], np.float32)).state == "equal"


def test_infinities():
  a = np.array([np.inf, 1], np.float32)
  assert compare_arrays("x", a, np.array([np.inf, np.nextafter(np.float32(1), 2)], np.float32)).state == "equal"
  assert compare_arrays("x", a, np.array([-np.inf, 1], np.float32)).state == "different"
  assert compare_arrays("x", a, np.array([3, 1], np.float32)).state == "different"


def test_integers_and_flags_must_be_the_same():
  diff = compare_arrays("x", np.array([1, 2]), np.array([1, 3]), noise=5.0)
  assert (diff.state, diff.why) == ("different", "1 of 2 values differ")
  assert compare_arrays("x", np.array([True]), np.array([False])).state == "different"


def test_ulps_across_zero_and_in_low_precision():
  tiny = np.float32(1e-45)
  assert ulps(np.array([tiny]), np.array([-tiny])) == 2
  assert ulps(np.asarray(jnp.ones(1, jnp.bfloat16)), np.asarray(jnp.full(1, 1.0078125, jnp.bfloat16))) == 1
  assert ulps(np.ones(1), np.nextafter(np.ones(1), 2)) == 1
  assert ulps(np.array([1 + 1j], np.complex64), np.array([1 + 1j], np.complex64)) == 0


def test_low_precision_has_no_free_ulp():
  assert tolerance(jnp.bfloat16, 0.0, 4.0) == 0.0
  assert tolerance(jnp.float32, 0.0, 4.0) > 0.0


def test_an_output_of_one_side_only_is_a_difference():
  diffs = compare_named("call0", {"a": ONE}, {"b": ONE}, {})
  assert [(d.name, d.state) for d in diffs] == [("call0/a", "different"), ("call0/b", "different")]


def test_python_values_among_the_outputs_must_agree():
  def report(plain):
    linen = CallRecord({"a": ONE}, {"n": 3, "nan": float("nan")}, 0, {}, {})
    return compare("m", LinenRecord({}, (), [], [linen]), NnxRecord([CallRecord({"a": ONE}, plain, 0, {}, {})]))

  assert report({"n": 3, "nan": float("nan")}).verdict == "identical"
  wrong = report({"n": 4, "nan": float("nan")})
  assert wrong.verdict == "different"
  assert "4 where Linen gives 3" in wrong.findings[0].found
  assert "nothing where Linen gives 3" in report({"nan": float("nan")}).findings[0].found
