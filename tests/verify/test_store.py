"""Arrays and call arguments come back as they were."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from migrate.core.report import MigrateError
from migrate.verify import store
from migrate.verify.records import CallPlan, LinenRecord, load_failure, load_linen, save_failure, save_linen


def test_arrays_of_every_kind(tmp_path):
  arrays = {
    ("params", "a/b"): np.arange(6.0).reshape(2, 3),
    ("params", "low"): jnp.arange(3, dtype=jnp.bfloat16),
    ("x", "empty"): np.zeros((0, 2), np.int8),
    ("x", "scalar"): np.float32(3),
    "complex": np.array([1 + 2j], np.complex64),
    "flag": np.array(True),
  }
  store.save_arrays(tmp_path / "a.npz", arrays)
  back = store.load_arrays(tmp_path / "a.npz")
  assert list(back) == list(arrays)
  for name, x in arrays.items():
    assert back[name].dtype == x.dtype
    assert back[name].shape == x.shape
    np.testing.assert_array_equal(back[name], x)


def test_typed_keys(tmp_path):
  keys = jax.random.split(jax.random.key(3), 2)
  store.save_arrays(tmp_path / "k.npz", {"k": keys})
  assert (store.load_arrays(tmp_path / "k.npz")["k"] == keys).all()
  store.save_tree(tmp_path / "t", ({"key": keys, "n": 3, "x": jnp.ones(2)}, "text", None))
  tree, text, none = store.load_tree(tmp_path / "t")
  assert (tree["key"] == keys).all()
  assert (tree["n"], text, none) == (3, "text", None)


def test_argument_that_does_not_pickle_is_refused(tmp_path):
  plan = CallPlan((lambda x: x,), {}, (), None, None)
  with pytest.raises(MigrateError, match="carried to another process"):
    save_linen(tmp_path, LinenRecord({}, (), [plan], []))


def test_record_round_trip(tmp_path):
  plan = CallPlan((np.ones(2),), {"train": True}, ("dropout",), ["batch_stats"], "encode")
  save_linen(tmp_path, LinenRecord({("params", "a"): np.ones(3)}, ("params",), [plan], []))
  back = load_linen(tmp_path, arguments=True)
  assert dataclasses.replace(back.plans[0], args=()) == dataclasses.replace(plan, args=())
  assert load_linen(tmp_path, arguments=False).plans[0].args == ()


def test_failure_is_left_for_the_parent(tmp_path):
  assert load_failure(tmp_path) == ()
  from migrate.core.report import Finding

  save_failure(tmp_path, MigrateError(Finding("here", "broken")))
  assert load_failure(tmp_path) == (Finding("here", "broken"),)
