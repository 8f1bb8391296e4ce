"""Random state carried, seeded anew or left out: by conversions, restores and calls."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import linen as nn
from flax import nnx

import migrate
from migrate.core.report import MigrateError
from migrate.workflows.randomness import seeded
from tests.workflows.small import save

TX = optax.adam(0.1)
PARAMS = {"Dense_0": {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)}}
ROOT = jax.random.key(5)


class Model(nnx.Module):
  def __init__(self, rngs):
    self.Dense_0 = nnx.Linear(4, 3, rngs=rngs)
    self.one = nnx.Dropout(0.5, rngs=rngs)
    self.two = nnx.Dropout(0.5, rngs=rngs)

  def __call__(self, x):
    return self.two(self.Dense_0(self.one(x)))


def make():
  return Model(nnx.Rngs(params=0, dropout=1))


def keys_of(model):
  return np.stack([jax.random.key_data(m.rngs.key[...]) for m in (model.one, model.two)])


@pytest.fixture(params=["typed", "numbers"])
def linen(request, tmp_path):
  root = ROOT if request.param == "typed" else jax.random.key_data(ROOT)
  return save(tmp_path / "linen", {"params": PARAMS, "opt_state": TX.init(PARAMS), "step": 3, "dropout_rng": root})


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize(("rng", "root"), [("carry", ROOT), ("reseed", jax.random.key(7))])
def test_streams_are_written_and_plain_orbax_restores_them(linen, tmp_path, rng, root, copy):
  done = migrate.convert(linen, tmp_path / "nnx", rng=rng, seed=7, build=make, copy=copy)
  assert any("restore them into the whole nnx.state(model)" in note for note in done.notes)
  model = make()
  target = {"model": nnx.state(model), "optimizer": nnx.state(nnx.Optimizer(model, TX, wrt=nnx.Param))}
  with ocp.StandardCheckpointer() as checkpointer:
    nnx.update(model, checkpointer.restore(tmp_path / "nnx", target)["model"])
  wanted = [jax.random.key_data(jax.random.fold_in(root, i)) for i in range(2)]
  np.testing.assert_array_equal(keys_of(model), wanted)
  assert model(jnp.ones((2, 4))).shape == (2, 3)
  back = migrate.plan_checkpoint(tmp_path / "nnx", to="linen")
  assert "4 leaves of random state are left out: Linen holds none" in back.notes
  assert migrate.verify_checkpoint(tmp_path / "nnx", linen).proven


def test_root_keys_need_a_word(linen, tmp_path):
  with pytest.raises(MigrateError, match="--rng carry, reseed or drop"):
    migrate.convert(linen, tmp_path / "nnx", build=make)
  migrate.convert(linen, tmp_path / "nnx", rng="drop", build=make)
  with pytest.raises(MigrateError, match="give --model"):
    migrate.plan_checkpoint(linen, rng="carry")


def test_a_restore_of_each_policy(linen):
  before = keys_of(make())
  np.testing.assert_array_equal(keys_of(migrate.restore(linen, make())), before)
  carried = keys_of(migrate.restore(linen, make(), rng="carry"))
  np.testing.assert_array_equal(carried[0], jax.random.key_data(jax.random.fold_in(ROOT, 0)))
  reseeded = keys_of(migrate.restore(linen, make(), rng="reseed", seed=7))
  assert not np.array_equal(reseeded, before)
  assert not np.array_equal(reseeded, carried)


def test_an_nnx_checkpoint_gives_its_keys_and_counts(tmp_path):
  model = make()
  model(jnp.ones((2, 4)))
  path = save(tmp_path / "nnx", {"model": nnx.state(model)})
  carried = migrate.restore(path, Model(nnx.Rngs(params=3, dropout=4)), rng="carry")
  np.testing.assert_array_equal(keys_of(carried), keys_of(model))
  assert int(carried.one.rngs.count[...]) == 1
  np.testing.assert_array_equal(carried(jnp.ones((2, 4))), model(jnp.ones((2, 4))))
  left = Model(nnx.Rngs(params=3, dropout=4))
  before = keys_of(left)
  np.testing.assert_array_equal(keys_of(migrate.restore(path, left)), before)
  assert (
    "4 leaves of random state are left out: Linen holds none"
    in migrate.plan_checkpoint(path, model=make(), to="linen").notes
  )


def test_a_checkpoint_without_streams_carries_none(tmp_path):
  path = save(tmp_path / "nnx", {"model": nnx.state(make(), nnx.Not(nnx.RngState))})
  with pytest.raises(MigrateError, match="one/rngs/key"):
    migrate.restore(path, make(), rng="carry")


def test_several_root_keys_go_by_name(tmp_path):
  state = {"params": PARAMS, "dropout_key": jax.random.key(1), "params_key": jax.random.key(2)}
  model = migrate.restore(save(tmp_path / "a", state), make(), rng="carry")
  np.testing.assert_array_equal(keys_of(model)[1], jax.random.key_data(jax.random.fold_in(jax.random.key(1), 1)))
  state = {"params": PARAMS, "noise_key": jax.random.key(1), "params_key": jax.random.key(2)}
  with pytest.raises(MigrateError, match="stream 'dropout': the training state has noise_key, params_key"):
    migrate.restore(save(tmp_path / "b", state), make(), rng="carry")


def test_variables_with_root_keys_by_stream():
  model = migrate.to_nnx({"params": PARAMS}, make(), rngs={"dropout": ROOT})
  np.testing.assert_array_equal(keys_of(model)[1], jax.random.key_data(jax.random.fold_in(ROOT, 1)))
  with pytest.raises(MigrateError, match="stream 'dropout'"):
    migrate.to_nnx({"params": PARAMS}, make(), rngs={"noise": ROOT})


def test_layers_side_by_side_get_keys_of_their_own():
  made = nnx.split_rngs(splits=3)(nnx.vmap(lambda rngs: nnx.Dropout(0.5, rngs=rngs)))(nnx.Rngs(dropout=0))
  (key, count) = seeded(made, {"default": ROOT}).values()
  assert key.shape == count.shape == (3,)
  assert len(np.unique(jax.random.key_data(key), axis=0)) == 3


def test_typed_keys_are_variables_like_others():
  class Linen(nn.Module):
    @nn.compact
    def __call__(self):
      return self.variable("root_keys", "key", lambda: jax.random.key(3)).value

  class Key(nnx.Variable):
    pass

  class Nnx(nnx.Module):
    def __init__(self):
      self.key = Key(jax.random.key(0))

  nnx.register_variable_name("root_keys", Key, overwrite=True)
  variables = Linen().init(jax.random.key(0))
  model = migrate.to_nnx(variables, Nnx())
  assert model.key[...] == jax.random.key(3)
  assert migrate.to_linen(model)["root_keys"]["key"] == jax.random.key(3)
  assert migrate.to_nnx({"root_keys": {"key": jax.random.PRNGKey(4)}}, Nnx()).key[...] == jax.random.key(4)


def test_typed_keys_of_an_optimizer_are_restored(tmp_path):
  tx = optax.noisy_sgd(0.1, key=jax.random.key(3))
  path = save(tmp_path / "linen", {"params": PARAMS, "opt_state": tx.init(PARAMS), "step": 1})
  model = make()
  _, optimizer = migrate.restore(path, model, nnx.Optimizer(model, tx, wrt=nnx.Param))
  assert optimizer.opt_state[0].rng_key[...] == jax.random.key(3)


class LinenModel(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.Dropout(0.5, deterministic=False)(x)
    return nn.Dropout(0.5, deterministic=False)(nn.Dense(3)(x))


def test_a_model_written_by_hand_keeps_linens_numbers():
  x = jnp.ones((2, 4))
  model = migrate.to_nnx({"params": PARAMS}, make())
  model = migrate.keep_rng(model, migrate.Example(LinenModel(), (x,), rngs=("dropout",)))
  for step in range(2):
    key = jax.random.fold_in(ROOT, step)
    migrate.set_rngs(model, dropout=key)
    theirs = LinenModel().apply({"params": PARAMS}, x, rngs={"dropout": key})
    np.testing.assert_array_equal(model(x), theirs)
