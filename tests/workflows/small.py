"""A small CNN on both sides, trained a few steps; shared by the tests of this folder."""

from __future__ import annotations

import functools

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import linen as nn
from flax import nnx
from flax.training import train_state

from migrate.core.declare import ModelMapping, move


class LinenCNN(nn.Module):
  @nn.compact
  def __call__(self, x, train: bool):
    x = nn.Conv(5, (3, 3))(x)
    x = nn.BatchNorm(use_running_average=not train)(x)
    x = nn.relu(x).mean((1, 2))
    for _ in range(2):
      x = nn.relu(nn.Dense(7)(x))
    return nn.Dense(3, name="head")(x)


class CNN(nnx.Module):
  def __init__(self, rngs: nnx.Rngs):
    self.conv = nnx.Conv(2, 5, (3, 3), rngs=rngs)
    self.norm = nnx.BatchNorm(5, rngs=rngs)
    self.layers = nnx.List([nnx.Linear(5, 7, rngs=rngs), nnx.Linear(7, 7, rngs=rngs)])
    self.drop = nnx.Dropout(0.0, rngs=rngs)
    self.head = nnx.Linear(7, 3, rngs=rngs)

  def __call__(self, x, train: bool):
    x = self.norm(self.conv(x), use_running_average=not train)
    x = nnx.relu(x).mean((1, 2))
    for layer in self.layers:
      x = nnx.relu(layer(x))
    return self.head(self.drop(x))


MAPPING = ModelMapping(
  (
    move("params/Conv_0/**", "conv/**"),
    move("params/BatchNorm_0/**", "norm/**"),
    move("batch_stats/BatchNorm_0/**", "norm/**"),
    move("params/Dense_{i}/**", "layers/{i}/**"),
  )
)


class State(train_state.TrainState):
  batch_stats: dict


TX = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(1e-2, 100)))


def batch(i: int):
  return jax.random.normal(jax.random.key(i), (4, 6, 6, 2))


@functools.cache
def trained():
  """A TrainState after three steps."""
  model = LinenCNN()
  variables = model.init(jax.random.key(0), batch(0), train=False)
  state = State.create(apply_fn=model.apply, params=variables["params"], tx=TX, batch_stats=variables["batch_stats"])
  for i in range(3):
    state = linen_step(state, batch(i))[0]
  return state


@jax.jit
def linen_step(state, x):
  def loss(params):
    out, new = state.apply_fn(
      {"params": params, "batch_stats": state.batch_stats}, x, train=True, mutable=["batch_stats"]
    )
    return (out**2).mean() + out.sum(), new

  (value, new), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
  return state.apply_gradients(grads=grads, batch_stats=new["batch_stats"]), value


@nnx.jit
def nnx_step(model, optimizer, x):
  def loss(model):
    out = model(x, train=True)
    return (out**2).mean() + out.sum()

  value, grads = nnx.value_and_grad(loss)(model)
  optimizer.update(model, grads)
  return value


def fields(state):
  return {
    "step": state.step,
    "params": jax.tree.map(lambda x: x, state.params),
    "opt_state": state.opt_state,
    "batch_stats": state.batch_stats,
  }


def save(path, tree, how="standard"):
  if how == "standard":
    with ocp.StandardCheckpointer() as c:
      c.save(path, tree)
  elif how == "pytree":
    ocp.PyTreeCheckpointer().save(path, tree)
  elif how == "zarr":
    ocp.PyTreeCheckpointer(use_ocdbt=False).save(path, tree)
  else:
    with ocp.CheckpointManager(path) as manager:
      for step in (2, 10):
        if how == "manager":
          manager.save(step, args=ocp.args.StandardSave(tree))
        else:
          manager.save(
            step, args=ocp.args.Composite(state=ocp.args.StandardSave(tree), meta=ocp.args.JsonSave({"a": 1}))
          )
        manager.wait_until_finished()
  return path


def equal(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    assert np.asarray(x).dtype == np.asarray(y).dtype
    np.testing.assert_array_equal(np.asarray(x), np.asarray(y))
