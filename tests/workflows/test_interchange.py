"""Sharded training states: eight devices in one process, and two processes with four devices each."""

from __future__ import annotations

import pytest

from tests.workflows.processes import run_together

# Run by `python -c` with (rank, processes, port, folder): prints `done` where all held.
PROGRAM = """
import os, sys
rank, processes, port, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
import jax
if processes > 1:
  jax.distributed.initialize(f"127.0.0.1:{port}", processes, rank)
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
import migrate
from migrate.core.declare import ModelMapping, move
from migrate.core.ops import Cast, Concatenate, Reshape, Split, Stack, Transpose

assert jax.device_count() == 8
mesh = Mesh(np.array(jax.devices()).reshape(2, 4), ("data", "model"))
tx = optax.adam(0.1)
kernel = np.arange(32, dtype=np.float32).reshape(8, 4)
params = {"Dense_0": {"kernel": kernel, "bias": np.arange(4, dtype=np.float32)}}
MAPPING = ModelMapping((move("params/Dense_0/kernel", "weight", Transpose()), move("params/Dense_0/bias", "bias")))


def sharding(value):
  return NamedSharding(mesh, {2: P("model", "data"), 1: P("model")}.get(np.ndim(value), P()))


def spread(value):
  value = np.asarray(value)
  return jax.make_array_from_callback(value.shape, sharding(value), lambda index: value[index])


class Model(nnx.Module):
  def __init__(self):
    self.weight, self.bias = nnx.Param(jnp.zeros((4, 8))), nnx.Param(jnp.zeros(4))


def sharded(scale=0.0):
  model = Model()
  optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
  for one in (model, optimizer):
    nnx.update(one, jax.tree.map(lambda v: spread(np.asarray(v) + np.asarray(scale, v.dtype)), nnx.state(one)))
  return model, optimizer


def same(array, wanted):
  assert array.shape == wanted.shape
  for shard in array.addressable_shards:
    np.testing.assert_array_equal(np.asarray(shard.data), wanted[shard.index])


def save(path, tree):
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(path, tree)


# Linen saves, NNX loads
linen = jax.tree.map(spread, params)
state = tx.init(linen)
moment = jax.tree.map(lambda x: spread(np.asarray(x) * 2 + 1), params)
state = (state[0]._replace(count=spread(np.int32(3)), mu=moment), *state[1:])
save(folder + "/linen", {"params": linen, "opt_state": state, "step": 3})
model, optimizer = migrate.restore(folder + "/linen", *sharded(), MAPPING)
same(model.weight[...], kernel.T)
same(optimizer.opt_state[0].mu["weight"][...], kernel.T * 2 + 1)
assert model.weight[...].sharding == sharding(kernel)

# NNX saves, Linen loads
migrate.save_linen(folder + "/back", model, optimizer, MAPPING)
target = {"params": linen, "opt_state": state, "step": 3}
with ocp.StandardCheckpointer() as checkpointer:
  found = checkpointer.restore(folder + "/back", target)
assert found["step"] == 3
same(found["params"]["Dense_0"]["kernel"], kernel)
same(found["opt_state"][0].mu["Dense_0"]["kernel"], kernel * 2 + 1)

# NNX saves, NNX loads; what is only renamed is read shard by shard
import migrate.checkpoint.orbax as stored
import migrate.workflows.shards as shards

whole, parts = [], []
load, part = stored._Load.__call__, stored._Load.part
stored._Load.__call__ = lambda self: (whole.append(self.shape), load(self))[1]
stored._Load.part = lambda self, index: (parts.append(self.name), part(self, index))[1]
save(folder + "/nnx", {"model": nnx.state(model), "optimizer": nnx.state(optimizer)})
again, moments = migrate.restore(folder + "/nnx", *sharded(5.0))
same(again.weight[...], kernel.T)
same(moments.opt_state[0].mu["bias"][...], params["Dense_0"]["bias"] * 2 + 1)
assert set(whole) <= {()}, whole
assert parts.count("model.weight.value") == 1, parts  # the shards of a process are neighbours: one read

# what joins, splits, turns, reshapes and casts is traced back to the shards: each process reads its part of it
rng = np.random.default_rng(0)
made = {f"layers_{i}": {"kernel": rng.standard_normal((8, 12)).astype(np.float32)} for i in range(4)}
made |= {"qkv": rng.standard_normal((8, 24)).astype(np.float32), "half": rng.standard_normal((8, 8)).astype(np.float32)}
made |= {n: rng.standard_normal((8, 4)).astype(np.float32) for n in ("i", "f")}
made |= {"heads": rng.standard_normal((8, 4, 8)).astype(np.float32)}
save(folder + "/made", {"params": made})
rules = ModelMapping((
  move("params/layers_{i}/kernel", "layers", Stack()),
  move("params/qkv", ["query", "key", "value"], Split(3)),
  move(["params/i", "params/f"], "gates", Concatenate(), Transpose()),
  move("params/half", "half", Transpose(), Cast("bfloat16")),
  move("params/heads", "heads", Reshape((8, 32))),
))


class Many(nnx.Module):
  def __init__(self):
    self.layers, self.gates, self.half = (nnx.Param(jnp.zeros(s)) for s in ((4, 8, 12), (8, 8), (8, 8)))
    self.half = nnx.Param(jnp.zeros((8, 8), jnp.bfloat16))
    self.query, self.key, self.value = (nnx.Param(jnp.zeros((8, 8))) for _ in range(3))
    self.heads = nnx.Param(jnp.zeros((8, 32)))


many = Many()
place = {3: P("data", None, "model"), 2: P("data", "model")}
at = lambda v: jax.make_array_from_callback(v.shape, NamedSharding(mesh, place[v.ndim]), lambda i: np.asarray(v)[i])
nnx.update(many, jax.tree.map(at, nnx.state(many)))
size = []
whole.clear()
stored._Load.part = lambda self, index: (found := part(self, index), size.append(found.nbytes))[0]
migrate.restore(folder + "/made", many, mapping=rules)
assert not whole, whole
total = sum(v.nbytes for v in jax.tree.leaves(made))
assert sum(size) == total // processes, (sum(size), total)
shards._AT_ONCE = 0  # shard by shard, as very large arrays are
size.clear()
migrate.restore(folder + "/made", many, mapping=rules)
assert sum(size) == total // processes, (sum(size), total)
same(many.layers[...], np.stack([made[f"layers_{i}"]["kernel"] for i in range(4)]))
same(many.value[...], made["qkv"][:, 16:])
same(many.gates[...], np.concatenate([made["i"], made["f"]], 1).T)
same(many.half[...], made["half"].T.astype(jnp.bfloat16))
same(many.heads[...], made["heads"].reshape(8, 32))
try:
  migrate.save_linen(folder + "/file", model, None, MAPPING, format="npz")
except migrate.MigrateError as error:
  assert processes > 1 and "orbax" in str(error)
print("done", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_all_pairs_of_savers_and_loaders(tmp_path, processes):
  run_together(PROGRAM, processes, tmp_path)
