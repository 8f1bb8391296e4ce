"""What is read shard by shard; tests/workflows/test_interchange.py does it on eight devices, in one process and in two."""

from __future__ import annotations

import types

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from migrate.checkpoint.stored import StoredLeaf
from migrate.core.declare import ModelMapping, move
from migrate.core.ops import Transpose
from migrate.core.plan import make_plan
from migrate.workflows.shards import ShardedLeaf, by_shards


def leaf(array, asked):
  return StoredLeaf(array.shape, array.dtype, lambda: array, "x", None, lambda i: (asked.append(i), array[i])[1])


def test_replicas_are_read_once():
  asked = []
  array = np.arange(6, dtype=np.float32).reshape(2, 3)
  sharding = NamedSharding(Mesh(np.array(jax.devices()[:1]), ("x",)), PartitionSpec("x"))
  found = ShardedLeaf(leaf(array, asked), sharding).read()
  np.testing.assert_array_equal(found, array)
  assert len(asked) == 1
  assert found.sharding == sharding


def test_only_what_is_renamed_and_sharded(monkeypatch):
  array = np.ones((2, 3), np.float32)
  leaves = {("params", n): leaf(array, []) for n in ("a", "turned", "alone")}
  mapping = ModelMapping((move("params/turned", "turned", Transpose()),))
  plan = make_plan(leaves, None, mapping)
  mesh = Mesh(np.array(jax.devices()[:1]), ("x",))
  sharded = types.SimpleNamespace(sharding=NamedSharding(mesh, PartitionSpec("x")), dtype=np.dtype("float32"))
  variables = {("a",): sharded, ("turned",): sharded, ("alone",): nnx.Param(jnp.ones((2, 3)))}
  targets = {p: types.SimpleNamespace(get_value=lambda v=v: v) for p, v in variables.items()}
  monkeypatch.setattr(NamedSharding, "num_devices", 2)
  found = by_shards(plan, leaves, targets)
  assert [p for p, one in found.items() if isinstance(one, ShardedLeaf)] == [("params", "a")]
