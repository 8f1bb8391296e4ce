"""What is read shard by shard; tests/workflows/test_interchange.py does it on eight devices, in one process and in two."""

from __future__ import annotations

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from migrate.checkpoint.stored import StoredLeaf
from migrate.core.declare import ModelMapping, move, tie
from migrate.core.ops import Split, Transpose
from migrate.core.plan import make_plan
from migrate.core.translate import translate
from migrate.core.windows import Window
from migrate.workflows.shards import by_shards, on_devices

SHARDING = NamedSharding(Mesh(np.array(jax.devices()[:1]), ("x",)), PartitionSpec("x"))


@pytest.fixture(autouse=True)
def many_devices(monkeypatch):
  monkeypatch.setattr(NamedSharding, "num_devices", 2)


def leaf(array, asked):
  return StoredLeaf(array.shape, array.dtype, lambda: array, "x", None, lambda i: (asked.append(i), array[i])[1])


def sharded():
  value = types.SimpleNamespace(sharding=SHARDING, dtype=np.dtype("float32"))
  return types.SimpleNamespace(get_value=lambda: value)


def test_replicas_are_read_once():
  asked = []
  array = np.arange(6, dtype=np.float32).reshape(2, 3)
  found = on_devices(Window.of(leaf(array, asked)), sharded())
  np.testing.assert_array_equal(found, array)
  assert len(asked) == 1
  assert found.sharding == SHARDING


def test_what_becomes_a_sharded_variable_is_a_window():
  array = np.arange(6, dtype=np.float32).reshape(2, 3)
  leaves = {("params", n): leaf(array, []) for n in ("a", "turned", "alone", "cut", "whole")}
  leaves["params", "whole"] = StoredLeaf(array.shape, array.dtype, lambda: array)
  mapping = ModelMapping(
    (
      move("params/turned", "turned", Transpose()),
      move("params/cut", ["left", "right"], Split((1, 2))),
    )
  )
  plan = make_plan(leaves, None, mapping)
  targets = {(n,): sharded() for n in ("a", "turned", "left", "whole")}
  targets |= {(n,): nnx.Param(jnp.ones((2, 3))) for n in ("alone", "right")}
  read = by_shards(plan, leaves, targets)
  assert [p[1] for p, one in read.items() if isinstance(one, Window)] == ["a", "turned", "cut"]
  found = {p[0]: on_devices(v, targets[p]) for p, v in translate(plan, read)}
  np.testing.assert_array_equal(found["turned"], array.T)
  np.testing.assert_array_equal(found["left"], array[:, :1])
  assert found["left"].sharding == SHARDING
  assert isinstance(found["right"], np.ndarray)  # of the same leaf, and not sharded
  np.testing.assert_array_equal(found["right"], array[:, 1:])


def test_tied_leaves_are_read_whole():
  array = np.ones((2, 3), np.float32)
  leaves = {("params", n): leaf(array, []) for n in ("a", "b")}
  plan = make_plan(leaves, None, ModelMapping((tie("params/b", "a"),)))
  assert by_shards(plan, leaves, {("a",): sharded()}) == leaves
