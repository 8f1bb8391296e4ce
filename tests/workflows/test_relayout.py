"""Checkpoints of older layouts of an NNX model into the model of today."""

import jax
import numpy as np
import optax
import pytest
from flax import nnx

import migrate
from migrate.core.declare import ModelMapping, move
from migrate.core.ops import Stack
from migrate.core.report import MigrateError
from migrate.core.tree import flatten, nest
from tests.workflows.small import save

pytestmark = pytest.mark.filterwarnings("ignore")


class Old(nnx.Module):
  def __init__(self, rngs):
    self.encoder = nnx.List([nnx.Linear(3, 3, rngs=rngs) for _ in range(2)])
    self.drop = nnx.Dropout(0.1, rngs=rngs)
    self.out = nnx.Linear(3, 2, rngs=rngs)


class New(nnx.Module):
  def __init__(self, rngs):
    self.layers = nnx.List([nnx.Linear(3, 3, rngs=rngs) for _ in range(2)])
    self.head = nnx.Linear(3, 2, rngs=rngs)
    self.drop = nnx.Dropout(0.1, rngs=rngs)


RENAME = {"encoder/{i}/**": "layers/{i}/**", "out/**": "head/**"}


def both(kind, seed):
  model = kind(nnx.Rngs(seed))
  return model, nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)


def trained():
  model, optimizer = both(Old, 0)
  grads = jax.tree.map(lambda x: x + 1, nnx.state(model, nnx.Param))
  optimizer.update(model, grads)
  return model, optimizer


def pure(state, *, suffix):
  """What older programs saved: nested dicts, with `value` below each name or not."""
  flat = flatten(nnx.to_pure_dict(state))
  end = ("value",) if suffix else ()
  plain = lambda v: jax.random.key_data(v) if jax.dtypes.issubdtype(v.dtype, jax.dtypes.prng_key) else v
  return nest({(*map(str, p), *end): np.asarray(plain(v)) for p, v in flat.items()})


@pytest.mark.parametrize("suffix", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_renamed_attributes(tmp_path, suffix, whole):
  model, optimizer = trained()
  tree = pure(nnx.state(model), suffix=suffix)
  if whole:
    tree = {"model": tree, "optimizer": pure(nnx.state(optimizer), suffix=suffix)}
  save(tmp_path / "old", tree, "pytree")
  new, opt = both(New, 1)
  count = int(new.drop.rngs.count.get_value())
  migrate.restore_nnx(tmp_path / "old", new, opt if whole else None, rename=RENAME)
  assert np.array_equal(new.layers[1].kernel.get_value(), model.encoder[1].kernel.get_value())
  assert np.array_equal(new.head.bias.get_value(), model.out.bias.get_value())
  assert int(new.drop.rngs.count.get_value()) == count
  if whole:
    mine = nnx.to_pure_dict(nnx.state(opt))["opt_state"][0]["mu"]
    theirs = nnx.to_pure_dict(nnx.state(optimizer))["opt_state"][0]["mu"]
    assert np.array_equal(mine["layers"][1]["kernel"], theirs["encoder"][1]["kernel"])
    assert int(opt.step.get_value()) == 1


def test_random_state_of_flax_0_10(tmp_path):
  """There each Dropout held a whole `Rngs`, a stream for each name."""
  model, _ = trained()
  tree = pure(nnx.state(model, nnx.Not(nnx.RngState)), suffix=True)
  stream = {"key": {"value": np.zeros(2, "uint32")}, "count": {"value": np.zeros((), "uint32")}}
  tree["drop"] = {"rngs": {"dropout": stream, "params": stream, "default": stream}}
  save(tmp_path / "old", tree, "pytree")
  new, _ = both(New, 1)
  migrate.restore_nnx(tmp_path / "old", new, rename=RENAME)
  assert np.array_equal(new.head.kernel.get_value(), model.out.kernel.get_value())


def test_layers_stacked_by_a_mapping(tmp_path):
  model, _ = trained()

  class Scanned(nnx.Module):
    def __init__(self, rngs):
      make = nnx.split_rngs(splits=2)(nnx.vmap(lambda r: nnx.Linear(3, 3, rngs=r)))
      self.layers = make(rngs)
      self.gain = nnx.Param(np.ones(3, "float32"))

  save(tmp_path / "old", pure(nnx.state(model, nnx.Param), suffix=False), "pytree")
  rules = ModelMapping((move("params/encoder/{i}/**", "layers/**", Stack()),))
  new = Scanned(nnx.Rngs(1))
  with pytest.raises(MigrateError, match="has no place"):
    migrate.restore_nnx(tmp_path / "old", new, rename=rules)
  from migrate.core.declare import drop

  rules = ModelMapping((*rules.rules, drop("params/out/**", because="no head here")))
  with pytest.raises(MigrateError, match="nothing fills"):
    migrate.restore_nnx(tmp_path / "old", new, rename=rules)
  migrate.restore_nnx(tmp_path / "old", new, rename=rules, new=["gain"])
  assert np.array_equal(new.layers.kernel.get_value()[1], model.encoder[1].kernel.get_value())


def test_without_optimizer_state(tmp_path):
  model, _ = trained()
  save(tmp_path / "old", pure(nnx.state(model), suffix=True), "pytree")
  with pytest.raises(MigrateError, match="has no optimizer state"):
    migrate.restore_nnx(tmp_path / "old", *both(New, 1), rename=RENAME)
