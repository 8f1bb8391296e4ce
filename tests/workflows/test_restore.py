"""Linen and NNX programs that save, and Linen and NNX programs that load: every pair."""

from __future__ import annotations

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx, serialization

import migrate
from migrate.core.declare import ModelMapping, fresh
from migrate.core.report import MigrateError
from tests.workflows.small import CNN, MAPPING, TX, batch, equal, fields, linen_step, nnx_step, save, trained

pytestmark = pytest.mark.filterwarnings("ignore")


def made(seed: int = 9):
  model = CNN(nnx.Rngs(seed))
  return model, nnx.Optimizer(model, TX, wrt=nnx.Param)


@pytest.mark.parametrize("form", ["standard", "manager", "msgpack"])
def test_linen_saves_and_nnx_goes_on(tmp_path, form):
  if form == "msgpack":
    (tmp_path / "checkpoint_3").write_bytes(serialization.to_bytes(fields(trained())))
    source = tmp_path / "checkpoint_3"
  else:
    source = save(tmp_path / "linen", fields(trained()), form)
  model, optimizer = migrate.restore(source, *made(), MAPPING)
  state, want = linen_step(trained(), batch(3))
  assert float(nnx_step(model, optimizer, batch(3))) == float(want)
  assert int(optimizer.step.get_value()) == 4
  equal(migrate.to_linen(model, MAPPING), {"params": state.params, "batch_stats": state.batch_stats})


def test_nnx_saves_and_linen_goes_on(tmp_path):
  model, optimizer = migrate.restore(save(tmp_path / "linen", fields(trained())), *made(), MAPPING)
  nnx_step(model, optimizer, batch(3))
  state, _ = linen_step(trained(), batch(3))
  for form in ("orbax", "msgpack"):
    migrate.save_linen(tmp_path / form, model, optimizer, MAPPING, format=form)
  with ocp.StandardCheckpointer() as c:
    found = c.restore(tmp_path / "orbax", fields(trained()))
  equal({**found, "step": 4}, {**fields(state), "step": 4})
  assert int(found["step"]) == 4
  found = serialization.from_bytes(fields(trained()), (tmp_path / "msgpack").read_bytes())
  equal({**found, "step": 4}, {**fields(state), "step": 4})


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_plain_files_hold_the_same_leaves(tmp_path, form):
  model, optimizer = migrate.restore(save(tmp_path / "linen", fields(trained())), *made(), MAPPING)
  migrate.save_linen(tmp_path / f"x.{form}", model, optimizer, MAPPING, format=form)
  again, _ = migrate.restore(tmp_path / f"x.{form}", *made(3), MAPPING)
  equal(migrate.to_linen(again, MAPPING), migrate.to_linen(model, MAPPING))


def test_nnx_saves_and_nnx_restores(tmp_path):
  model, optimizer = migrate.restore(save(tmp_path / "linen", fields(trained())), *made(), MAPPING)
  state = {"model": nnx.state(model, nnx.Not(nnx.RngState)), "optimizer": nnx.state(optimizer)}
  with ocp.StandardCheckpointer() as c:
    c.save(tmp_path / "nnx", state)
  again, other = migrate.restore(tmp_path / "nnx", *made(4))
  equal(nnx.state(again, nnx.Param), nnx.state(model, nnx.Param))
  equal(nnx.state(other), nnx.state(optimizer))


def test_abstract_model_gets_arrays(tmp_path):
  source = save(tmp_path / "linen", fields(trained()))
  model = migrate.restore(source, nnx.eval_shape(lambda: CNN(nnx.Rngs(0))), mapping=MAPPING)
  equal(migrate.to_linen(model, MAPPING)["params"], trained().params)


def test_leaves_take_the_shardings_of_the_model(tmp_path):
  mesh = jax.make_mesh((1,), ("data",))
  model, _ = made()
  sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
  model.head.kernel.set_value(jax.device_put(model.head.kernel.get_value(), sharding))
  migrate.restore(save(tmp_path / "linen", fields(trained())), model, mapping=MAPPING)
  assert model.head.kernel.get_value().sharding == sharding


def test_fresh_targets_are_left_as_they_are(tmp_path):
  tree = fields(trained())
  del tree["params"]["head"]
  tree["opt_state"] = ()
  model, _ = made()
  before = np.asarray(model.head.kernel.get_value())
  rules = (*MAPPING.rules, fresh("head/**", because="new classes"))
  migrate.restore(save(tmp_path / "linen", tree), model, mapping=ModelMapping(rules))
  np.testing.assert_array_equal(np.asarray(model.head.kernel.get_value()), before)


def test_what_does_not_fit_changes_nothing(tmp_path):
  tree = fields(trained())
  tree["params"]["head"]["kernel"] = tree["params"]["head"]["kernel"].T
  model, optimizer = made()
  before = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model, nnx.Param)))
  with pytest.raises(MigrateError, match="params/head/kernel"):
    migrate.restore(save(tmp_path / "linen", tree), model, optimizer, MAPPING)
  equal(jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model, nnx.Param))), before)


def test_optimizer_of_another_kind_is_refused(tmp_path):
  import optax

  model = CNN(nnx.Rngs(0))
  optimizer = nnx.Optimizer(model, optax.sgd(0.1, momentum=0.9), wrt=nnx.Param)
  with pytest.raises(MigrateError, match="same Optax transformation"):
    migrate.restore(save(tmp_path / "linen", fields(trained())), model, optimizer, MAPPING)
