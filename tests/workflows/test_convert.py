"""Conversion of real Orbax checkpoints, restored by plain Orbax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from migrate.checkpoint.detect import open_checkpoint
from migrate.checkpoint.orbax import write_orbax
from migrate.core.declare import ModelMapping, copy, drop, move
from migrate.core.ops import Stack, Transpose
from migrate.core.report import MigrateError
from migrate.workflows.convert import convert, convert_checkpoint
from migrate.workflows.state import optimizer_to_linen, optimizer_to_nnx, to_linen, to_nnx
from migrate.workflows.verify_checkpoint import verify_checkpoint
from tests.workflows import small
from tests.workflows.small import CNN, MAPPING, TX, batch, equal, fields, linen_step, nnx_step, save

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def trained():
  return small.trained()


def restored(path):
  model = CNN(nnx.Rngs(5))
  optimizer = nnx.Optimizer(model, TX, wrt=nnx.Param)
  target = {"model": nnx.state(model, nnx.Not(nnx.RngState)), "optimizer": nnx.state(optimizer)}
  with ocp.StandardCheckpointer() as c:
    found = c.restore(path, jax.tree.map(ocp.utils.to_shape_dtype_struct, target))
  nnx.update(model, found["model"])
  nnx.update(optimizer, found["optimizer"])
  return model, optimizer


@pytest.mark.parametrize(
  ("how", "nested"),
  [("standard", False), ("pytree", False), ("zarr", False), ("manager", True), ("composite", False)],
)
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


def test_moments_that_are_lists_restore(tmp_path, trained):
  tx = optax.sm3(1e-2)
  save(
    tmp_path / "linen",
    {"step": 0, "params": trained.params, "opt_state": tx.init(trained.params), "batch_stats": trained.batch_stats},
  )
  model = CNN(nnx.Rngs(0))
  optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
  convert_checkpoint(tmp_path / "linen", tmp_path / "nnx", MAPPING, model, optimizer)
  target = {"model": nnx.state(model, nnx.Not(nnx.RngState)), "optimizer": nnx.state(optimizer)}
  with ocp.StandardCheckpointer() as c:
    nnx.update(optimizer, c.restore(tmp_path / "nnx", target)["optimizer"])
  equal(optimizer_to_linen(optimizer, tx.init(trained.params), MAPPING), tx.init(trained.params))


def test_unknown_field_is_named(tmp_path, trained):
  source = save(tmp_path / "linen", {**fields(trained), "ema": {"decay": jnp.ones(())}})
  with pytest.raises(MigrateError, match="ema/decay"):
    convert_checkpoint(source, tmp_path / "nnx", MAPPING, nnx.eval_shape(lambda: CNN(nnx.Rngs(0))))
  rules = (*MAPPING.rules, drop("ema/**", because="not used"))
  convert_checkpoint(source, tmp_path / "nnx", ModelMapping(rules), nnx.eval_shape(lambda: CNN(nnx.Rngs(0))))


COPIED = ModelMapping((
  copy("params/embed/table", "twin/table"),
  copy("params/embed/table", "head/kernel", Transpose()),
  move("params/layer_{i}/kernel", "layers/kernel", Stack()),
  copy("params/layer_1/kernel", "last"),
))  # fmt: skip


@pytest.mark.parametrize("how", [{}, {"copy": True}, {"checksum": True}, {"format": "safetensors"}])
def test_one_leaf_becomes_several_and_is_one_again(tmp_path, how):
  params = {"embed": {"table": jnp.arange(12.0).reshape(4, 3)}}
  params |= {f"layer_{i}": {"kernel": jnp.full((3, 3), float(i))} for i in range(2)}
  adam = optax.adam(0.1).init(params)
  source = save(tmp_path / "linen", {"params": params, "opt_state": adam, "step": 2}, "standard")
  with pytest.raises(MigrateError, match=r"(?s)trained apart.*--allow-optimizer-change"):
    convert_checkpoint(source, tmp_path / "nnx", COPIED)
  convert_checkpoint(source, tmp_path / "nnx", COPIED, allow_optimizer_change=True, **how)
  stored = open_checkpoint(tmp_path / "nnx")
  found = {tuple(map(str, p)): leaf for p, leaf in stored.leaves.items()}
  end = ("value",) if "format" not in how else ()
  for name, wanted in (("twin/table", params["embed"]["table"]), ("head/kernel", params["embed"]["table"].T)):
    np.testing.assert_array_equal(found["model", *name.split("/"), *end].read(), wanted)
    assert ("optimizer", "opt_state", "0", "mu", *name.split("/"), *end) in found
  np.testing.assert_array_equal(found["model", "last", *end].read(), params["layer_1"]["kernel"])
  assert verify_checkpoint(tmp_path / "nnx", source).proven
  convert(tmp_path / "nnx", tmp_path / "back", to="linen")
  again, first = open_checkpoint(tmp_path / "back").leaves, open_checkpoint(source).leaves
  assert {p: x.read().tobytes() for p, x in again.items()} == {p: x.read().tobytes() for p, x in first.items()}


def test_copies_that_differ_have_no_way_back(tmp_path):
  table = jnp.arange(12.0).reshape(4, 3)
  model = {"embed": {"table": table}, "head": {"kernel": table.T.at[0, 0].set(-0.0)}}
  write_orbax(tmp_path / "nnx", {"model": model})
  mapping = ModelMapping((copy("params/embed/table", "head/kernel", Transpose()), move("params/embed/**", "embed/**")))
  with pytest.raises(MigrateError, match=r"(?s)head/kernel: differs from what embed/table has.*tie_weights"):
    convert(tmp_path / "nnx", tmp_path / "back", mapping, to="linen")
  assert not (tmp_path / "back").exists()
  write_orbax(tmp_path / "same", {"model": {"embed": {"table": table}, "head": {"kernel": table.T}}})
  convert(tmp_path / "same", tmp_path / "back", mapping, to="linen")
  assert list(open_checkpoint(tmp_path / "back").leaves) == [("params", "embed", "table")]
