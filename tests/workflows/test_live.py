"""What a checkpoint takes from the live model: modules that no example ran, and arrays outside Variables."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import linen as nn
from flax import nnx

from migrate.core.declare import ModelMapping, fresh, move
from migrate.core.report import MigrateError
from migrate.workflows.convert import convert_checkpoint
from migrate.workflows.live import abstract, live_leaves
from migrate.workflows.restore import restore
from migrate.workflows.verify_checkpoint import verify_checkpoint
from tests.workflows.small import equal, save

pytestmark = pytest.mark.filterwarnings("ignore")

BECAUSE = "no example runs this module"
MAPPING = ModelMapping((move("params/Dense_0/**", "dense/**"), fresh("extra/**", because=BECAUSE)))


class Linen(nn.Module):
  @nn.compact
  def __call__(self, x):
    return jnp.tril(jnp.ones((3, 3))) @ nn.Dense(3)(x)


class Ported(nnx.Module):
  def __init__(self, rngs: nnx.Rngs):
    self.dense = nnx.Linear(2, 3, rngs=rngs)
    self.extra = nnx.BatchNorm(4, rngs=rngs)
    self.unused = nnx.List([jnp.arange(3), 4])
    self.causal_mask = jnp.tril(jnp.ones((3, 3)))
    self.table = np.arange(4.0)
    self.drop = nnx.Dropout(0.5, rngs=rngs)

  def __call__(self, x):
    return self.causal_mask @ self.dense(x)


class WithHead(Ported):
  def __init__(self, rngs: nnx.Rngs):
    super().__init__(rngs)
    self.extra = nnx.Linear(3, 5, rngs=rngs)


def make(cls, seed=0):
  return cls(nnx.Rngs(params=seed, dropout=1))


def steps(tx, params, opt_state, number):
  def loss(params):
    return (Linen().apply({"params": params}, jnp.ones((3, 2))) ** 2).mean()

  for _ in range(number):
    updates, opt_state = tx.update(jax.grad(loss)(params), opt_state, params)
    params = optax.apply_updates(params, updates)
  return params, opt_state


def linen(tmp_path, tx):
  params = Linen().init(jax.random.key(0), jnp.ones((3, 2)))["params"]
  params, opt_state = steps(tx, params, tx.init(params), 3)
  save(tmp_path / "linen", {"params": params, "opt_state": opt_state, "step": 3})
  return params, opt_state


def restored(path, cls, tx):
  model = make(cls, 7)
  optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
  live = {"model": nnx.state(model, nnx.Not(nnx.RngState)), "optimizer": nnx.state(optimizer)}
  target = jax.tree.map(ocp.utils.to_shape_dtype_struct, live)
  with ocp.StandardCheckpointer() as c:
    found = c.restore(path, target)
  assert jax.tree.structure(found) == jax.tree.structure(live)
  nnx.update(model, found["model"])
  nnx.update(optimizer, found["optimizer"])
  return model, optimizer


@pytest.mark.parametrize("cls", [Ported, WithHead])
@pytest.mark.parametrize("tx", [optax.adamw(1e-2, mu_dtype="bfloat16"), optax.sgd(1e-2, momentum=0.9)])
def test_plain_orbax_restores_and_training_goes_on(tmp_path, cls, tx):
  params, opt_state = linen(tmp_path, tx)
  done = convert_checkpoint(tmp_path / "linen", tmp_path / "nnx", MAPPING, build=lambda: make(cls))
  model, optimizer = restored(tmp_path / "nnx", cls, tx)
  fresh_one = make(cls)
  equal(nnx.state(model.extra), nnx.state(fresh_one.extra))
  np.testing.assert_array_equal(model.causal_mask, fresh_one.causal_mask)
  np.testing.assert_array_equal(model.unused[0], fresh_one.unused[0])
  assert any("extra/" in note for note in done.notes)
  assert any("causal_mask" in note for note in done.notes)
  assert any("zero" in note for note in done.notes)
  assert verify_checkpoint(tmp_path / "nnx", tmp_path / "linen").proven
  for _ in range(2):
    grads = nnx.grad(lambda m: (m(jnp.ones((3, 2))) ** 2).mean())(model)
    optimizer.update(model, grads)
  params, _ = steps(tx, params, opt_state, 2)
  np.testing.assert_allclose(model.dense.kernel, params["Dense_0"]["kernel"], rtol=1e-6)


def test_a_fresh_parameter_has_the_moments_of_a_fresh_optimizer(tmp_path):
  tx = optax.chain(optax.clip(1.0), optax.adam(1e-2))
  linen(tmp_path, tx)
  convert_checkpoint(tmp_path / "linen", tmp_path / "nnx", MAPPING, build=lambda: make(WithHead))
  _, optimizer = restored(tmp_path / "nnx", WithHead, tx)
  mu = optimizer.opt_state[1][0].mu["extra"]
  assert mu["kernel"].get_value().shape == (3, 5)
  assert not mu["kernel"].get_value().any()
  assert optimizer.opt_state[1][0].count.get_value() == 3


def test_the_way_back_leaves_out_what_linen_did_not_have(tmp_path):
  params, opt_state = linen(tmp_path, optax.adam(1e-2))
  convert_checkpoint(tmp_path / "linen", tmp_path / "nnx", MAPPING, build=lambda: make(WithHead))
  convert_checkpoint(tmp_path / "nnx", tmp_path / "back", to="linen")
  convert_checkpoint(tmp_path / "nnx", tmp_path / "back2", MAPPING, make(WithHead), to="linen")
  with ocp.StandardCheckpointer() as c:
    again = c.restore(tmp_path / "back", {"params": params, "opt_state": opt_state, "step": 3})
    assert "Dense_0" in c.restore(tmp_path / "back2")["params"]
  equal(again, {"params": params, "opt_state": opt_state, "step": 3})


def test_restore_reads_it_too(tmp_path):
  params, _ = linen(tmp_path, optax.adam(1e-2))
  convert_checkpoint(tmp_path / "linen", tmp_path / "nnx", MAPPING, build=lambda: make(WithHead))
  model, other = make(WithHead, 7), make(WithHead)
  restore(tmp_path / "nnx", model)
  equal(nnx.state(model.extra), nnx.state(other.extra))
  np.testing.assert_array_equal(model.dense.kernel, params["Dense_0"]["kernel"])


def test_without_build_it_is_refused(tmp_path):
  linen(tmp_path, optax.adam(1e-2))
  with pytest.raises(MigrateError, match=r"migrate\.restore"):
    convert_checkpoint(tmp_path / "linen", tmp_path / "nnx", MAPPING, make(Ported))
  assert not (tmp_path / "nnx").exists()


@pytest.mark.parametrize(
  ("tx", "said"),
  [
    (optax.adafactor(1e-2), "not shaped like"),
    (optax.contrib.prodigy(1e-2), "not zero at the start"),
    (optax.masked(optax.adam(1e-2), {"Dense_0": {"kernel": True, "bias": False}}), "masked in part"),
  ],
)
def test_moments_that_zeros_would_not_be_are_refused(tmp_path, tx, said):
  linen(tmp_path, tx)
  with pytest.raises(MigrateError, match=said):
    convert_checkpoint(tmp_path / "linen", tmp_path / "nnx", MAPPING, build=lambda: make(WithHead))
  assert not (tmp_path / "nnx").exists()


def test_masked_in_part_is_told_by_the_optimizer(tmp_path):
  linen(tmp_path, optax.masked(optax.adam(1e-2), {"Dense_0": {"kernel": True, "bias": False}}))
  tx = optax.masked(optax.adam(1e-2), lambda p: jax.tree.map(lambda x: x.ndim > 1, p))
  optimizer = nnx.Optimizer(make(WithHead), tx, wrt=nnx.Param)
  convert_checkpoint(tmp_path / "linen", tmp_path / "nnx", MAPPING, None, optimizer, build=lambda: make(WithHead))
  _, optimizer = restored(tmp_path / "nnx", WithHead, tx)
  assert not optimizer.opt_state.inner_state[0].mu["extra"]["kernel"].get_value().any()


def test_other_formats_hold_pure_dicts(tmp_path):
  linen(tmp_path, optax.adam(1e-2))
  convert_checkpoint(tmp_path / "linen", tmp_path / "nnx.npz", MAPPING, build=lambda: make(Ported))
  with np.load(tmp_path / "nnx.npz") as found:
    assert {"model/causal_mask", "model/extra/scale", "model/dense/kernel"} <= {n.replace(".", "/") for n in found}


def test_only_what_is_wanted_is_computed():
  def build():
    model = make(WithHead)
    model.big = nnx.Param(jax.random.normal(jax.random.key(0), (1 << 20, 1 << 20)))  # 4 TB
    return model

  live = live_leaves(build, [("extra", "kernel")])
  assert set(live.constants) == {("causal_mask",), ("table",), ("unused", 0)}
  assert set(live.values()) == {*live.constants, ("extra", "kernel")}


def test_host_arrays_keep_their_dtype():
  assert live_leaves(lambda: make(Ported), []).values()[("table",)].dtype == np.float64


def test_a_model_that_does_not_build_is_named():
  with pytest.raises(MigrateError, match="ValueError: no such size"):
    live_leaves(lambda: (_ for _ in ()).throw(ValueError("no such size")), [])


def test_shapes_of_a_model_of_many_layers_take_no_counting(monkeypatch):
  counted = nnx.RngStream.__call__
  calls = []
  monkeypatch.setattr(nnx.RngStream, "__call__", lambda self: (calls.append(1), counted(self))[1])
  watched = nnx.RngStream.__call__
  model = abstract(lambda: nnx.List([nnx.Linear(2, 3, rngs=nnx.Rngs(0)) for _ in range(3)]))
  assert calls == []
  assert nnx.RngStream.__call__ is watched
  assert model[2].kernel.get_value().shape == (2, 3)
  with pytest.raises(ZeroDivisionError):
    abstract(lambda: 1 // 0)
  assert nnx.RngStream.__call__ is watched
