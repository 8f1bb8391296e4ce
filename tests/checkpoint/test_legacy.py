"""flax.optim checkpoints, made by hand in the layout that its code wrote (SEMANTICS 8)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx, serialization

import migrate
from migrate.checkpoint.detect import open_checkpoint
from migrate.core.declare import ModelMapping, move
from migrate.core.report import MigrateError

pytestmark = pytest.mark.filterwarnings("ignore")

PARAMS = {"Dense_0": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.ones(3, np.float32)}}


def adam(value):
  return {"grad_ema": value * 2, "grad_sq_ema": value * value}


def save(path, target, states, step=5):
  tree = {"target": target, "state": {"step": np.int32(step), "param_states": states}}
  path.write_bytes(serialization.msgpack_serialize(tree))
  return path


def states_of(target, kind):
  return {k: states_of(v, kind) if isinstance(v, dict) else kind(v) for k, v in target.items()}


class Model(nnx.Module):
  def __init__(self, rngs):
    self.dense = nnx.Linear(2, 3, rngs=rngs)


MAPPING = ModelMapping((move("params/Dense_0/**", "dense/**"),))


@pytest.mark.parametrize("nested", [False, True])
def test_adam_goes_on(tmp_path, nested):
  target = {"params": PARAMS} if nested else PARAMS
  path = save(tmp_path / "checkpoint_5", target, states_of(target, adam))
  model = Model(nnx.Rngs(0))
  optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
  migrate.restore(path, model, optimizer, MAPPING)
  want = optax.ScaleByAdamState(
    jnp.asarray(5), {"k": PARAMS["Dense_0"]["kernel"] * 2}, {"k": PARAMS["Dense_0"]["kernel"] ** 2}
  )
  state = optimizer.opt_state[0]
  assert int(state.count.get_value()) == int(want.count) == int(optimizer.step.get_value())
  np.testing.assert_array_equal(state.mu["dense"]["kernel"].get_value(), want.mu["k"])
  np.testing.assert_array_equal(state.nu["dense"]["kernel"].get_value(), want.nu["k"])
  np.testing.assert_array_equal(model.dense.bias.get_value(), PARAMS["Dense_0"]["bias"])


def test_momentum_inside_a_training_state(tmp_path):
  states = states_of(PARAMS, lambda v: {"momentum": v})
  optimizer = {"target": PARAMS, "state": {"step": np.int32(5), "param_states": states}}
  stats = {"batch_stats": {"bn": {"mean": np.zeros(3, np.float32)}}}
  tree = {"step": 5, "optimizer": optimizer, "model_state": stats}
  (tmp_path / "x").write_bytes(serialization.msgpack_serialize(tree))
  leaves = open_checkpoint(tmp_path / "x").leaves
  assert set(leaves) == {
    ("params", "Dense_0", "kernel"),
    ("params", "Dense_0", "bias"),
    ("opt_state", 0, "trace", "Dense_0", "kernel"),
    ("opt_state", 0, "trace", "Dense_0", "bias"),
    ("batch_stats", "bn", "mean"),
    ("step",),
  }


def test_state_without_an_optax_form_is_refused_by_name(tmp_path):
  path = save(tmp_path / "x", PARAMS, states_of(PARAMS, lambda v: {"v_row": v, "v_col": v}))
  with pytest.raises(MigrateError, match="v_row"):
    migrate.restore(path, Model(nnx.Rngs(0)), mapping=MAPPING)
