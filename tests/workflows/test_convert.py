"""Conversion of real Orbax checkpoints, restored by plain Orbax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import linen as nn
from flax import nnx
from flax.training import train_state

from migrate.core.declare import ModelMapping, drop, move
from migrate.core.report import MigrateError
from migrate.workflows.convert import convert_checkpoint
from migrate.workflows.state import optimizer_to_linen, optimizer_to_nnx, to_linen, to_nnx

pytestmark = pytest.mark.filterwarnings("ignore")


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


@pytest.fixture(scope="module")
def trained():
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


def restored(path):
  model = CNN(nnx.Rngs(5))
  optimizer = nnx.Optimizer(model, TX, wrt=nnx.Param)
  target = {"model": nnx.state(model, nnx.Not(nnx.RngState)), "optimizer": nnx.state(optimizer)}
  with ocp.StandardCheckpointer() as c:
    found = c.restore(path, jax.tree.map(ocp.utils.to_shape_dtype_struct, target))
  nnx.update(model, found["model"])
  nnx.update(optimizer, found["optimizer"])
  return model, optimizer


def equal(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    assert np.asarray(x).dtype == np.asarray(y).dtype
    np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


@pytest.mark.parametrize("how", ["standard", "pytree", "zarr", "manager", "composite"])
@pytest.mark.parametrize("nested", [False, True])
def test_plain_orbax_restores_and_training_goes_on(tmp_path, trained, how, nested):
  tree = fields(trained)
  if nested:
    tree["params"] = {"params": tree["params"]}
    adam = trained.opt_state[1][0]
    inner = (adam._replace(mu={"params": adam.mu}, nu={"params": adam.nu}), *trained.opt_state[1][1:])
    tree["opt_state"] = (trained.opt_state[0], inner)
  source = save(tmp_path / "linen", tree, how)
  abstract = nnx.eval_shape(lambda: CNN(nnx.Rngs(0)))
  done = convert_checkpoint(source, tmp_path / "nnx", MAPPING, abstract)
  assert done.step == 3
  model, optimizer = restored(tmp_path / "nnx")
  assert int(optimizer.step.get_value()) == 3
  state = trained
  for i in range(3, 5):
    state, want = linen_step(state, batch(i))
    assert float(nnx_step(model, optimizer, batch(i))) == float(want)
  equal(to_linen(model, MAPPING), {"params": state.params, "batch_stats": state.batch_stats})
  equal(optimizer_to_linen(optimizer, state.opt_state, MAPPING), state.opt_state)


def test_live_objects_agree_with_the_checkpoint(trained):
  model = to_nnx({"params": trained.params, "batch_stats": trained.batch_stats}, CNN(nnx.Rngs(1)), MAPPING)
  optimizer = optimizer_to_nnx(trained.opt_state, nnx.Optimizer(model, TX, wrt=nnx.Param), MAPPING, step=trained.step)
  assert int(optimizer.step.get_value()) == 3
  state, want = linen_step(trained, batch(3))
  assert float(nnx_step(model, optimizer, batch(3))) == float(want)
  equal(optimizer_to_linen(optimizer, trained.opt_state, MAPPING), state.opt_state)


def test_variables_alone_give_a_model_alone(tmp_path, trained):
  save(tmp_path / "linen", {"params": trained.params, "batch_stats": trained.batch_stats})
  convert_checkpoint(tmp_path / "linen", tmp_path / "nnx", MAPPING)
  model = CNN(nnx.Rngs(5))
  with ocp.StandardCheckpointer() as c:
    nnx.update(model, c.restore(tmp_path / "nnx", {"model": nnx.state(model, nnx.Not(nnx.RngState))})["model"])
  equal(to_linen(model, MAPPING), {"params": trained.params, "batch_stats": trained.batch_stats})


def test_refusals_write_nothing(tmp_path, trained):
  tree = fields(trained)
  del tree["params"]["head"]["bias"]
  tree["params"]["Dense_0"]["kernel"] = jnp.zeros((7, 5))
  source = save(tmp_path / "linen", tree)
  before = sorted(p for p in tmp_path.rglob("*"))
  with pytest.raises(MigrateError) as caught:
    convert_checkpoint(source, tmp_path / "nnx", MAPPING, nnx.eval_shape(lambda: CNN(nnx.Rngs(0))))
  assert "head/bias" in str(caught.value)
  assert "Transpose" in str(caught.value)
  assert str(caught.value).count("\n") < 24
  assert sorted(p for p in tmp_path.rglob("*")) == before


def test_existing_destination_is_kept_unless_told(tmp_path, trained):
  source = save(tmp_path / "linen", fields(trained))
  (tmp_path / "nnx").mkdir()
  (tmp_path / "nnx" / "mine").write_text("x")
  with pytest.raises(MigrateError, match="exists"):
    convert_checkpoint(source, tmp_path / "nnx", MAPPING)
  assert (tmp_path / "nnx" / "mine").read_text() == "x"
  convert_checkpoint(source, tmp_path / "nnx", MAPPING, overwrite=True)
  assert not (tmp_path / "nnx" / "mine").exists()
  assert sorted(p.name for p in tmp_path.iterdir()) == ["linen", "nnx"]
  restored(tmp_path / "nnx")


def test_masked_moments_restore(tmp_path):
  class Two(nnx.Module):
    def __init__(self, rngs):
      self.a = nnx.Linear(2, 3, rngs=rngs)
      self.b = nnx.Linear(3, 5, rngs=rngs)

  params = {
    "Dense_0": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)},
    "Dense_1": {"kernel": jnp.ones((3, 5)), "bias": jnp.ones(5)},
  }
  tx = optax.chain(optax.masked(optax.adam(1e-3), lambda p: jax.tree.map(lambda x: x.ndim > 1, p)), optax.trace(0.9))
  save(tmp_path / "linen", {"step": 0, "params": params, "opt_state": tx.init(params)})
  mapping = ModelMapping((move("params/Dense_0/**", "a/**"), move("params/Dense_1/**", "b/**")))
  model = Two(nnx.Rngs(0))
  optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
  convert_checkpoint(tmp_path / "linen", tmp_path / "nnx", mapping, model, optimizer)
  target = {"model": nnx.state(model, nnx.Not(nnx.RngState)), "optimizer": nnx.state(optimizer)}
  with ocp.StandardCheckpointer() as c:
    nnx.update(model, c.restore(tmp_path / "nnx", target)["model"])
  equal(to_linen(model, mapping), {"params": params})


def test_unknown_field_is_named(tmp_path, trained):
  source = save(tmp_path / "linen", {**fields(trained), "ema": {"decay": jnp.ones(())}})
  with pytest.raises(MigrateError, match="ema/decay"):
    convert_checkpoint(source, tmp_path / "nnx", MAPPING, nnx.eval_shape(lambda: CNN(nnx.Rngs(0))))
  rules = (*MAPPING.rules, drop("ema/**", because="not used"))
  convert_checkpoint(source, tmp_path / "nnx", ModelMapping(rules), nnx.eval_shape(lambda: CNN(nnx.Rngs(0))))
