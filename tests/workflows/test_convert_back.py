"""From NNX back to Linen."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx, serialization

from migrate.core.declare import ModelMapping, drop, move
from migrate.core.ops import Concatenate, Stack
from migrate.core.report import MigrateError
from migrate.workflows.convert import convert
from tests.workflows.small import CNN, MAPPING, equal, fields, save, trained

pytestmark = pytest.mark.filterwarnings("ignore")


def state_of_layers():
  params = {f"l_{i}": {"k": jnp.full((2, 3), i, jnp.bfloat16), "b": jnp.zeros(3)} for i in range(11)}
  params["gates"] = {n: jnp.ones((2, 1)) for n in "ifgo"}
  mask = optax.masked(optax.adam(1e-3), lambda p: jax.tree.map(lambda x: x.ndim > 1, p))
  return {"step": 3, "params": params, "opt_state": optax.chain(optax.clip(1.0), mask).init(params)}


LAYERS = ModelMapping(
  (
    move("params/l_{i}/**", "layers/**", Stack()),
    move([f"params/gates/{n}" for n in "ifgo"], "gates", Concatenate(4)),
  )
)


@pytest.mark.parametrize("form", ["orbax", "msgpack", "safetensors", "npz"])
def test_there_and_back_is_the_same_to_the_bit(tmp_path, form):
  tree = state_of_layers()
  source = save(tmp_path / "linen", tree)
  convert(source, tmp_path / "nnx", LAYERS, format=form)
  convert(tmp_path / "nnx", tmp_path / "back", to="linen")
  with ocp.StandardCheckpointer() as c:
    found = c.restore(tmp_path / "back", tree)
  equal(found, tree)
  assert type(found["step"]) is int


def test_msgpack_there_and_back(tmp_path):
  tree = state_of_layers()
  (tmp_path / "checkpoint_3").write_bytes(serialization.to_bytes(tree))
  convert(tmp_path / "checkpoint_3", tmp_path / "nnx", LAYERS)
  convert(tmp_path / "nnx", tmp_path / "back", to="linen", format="msgpack")
  equal(serialization.from_bytes(tree, (tmp_path / "back").read_bytes()), tree)


def test_dropped_leaves_are_noted(tmp_path):
  tree = {"params": {"a": jnp.ones(2), "b": jnp.ones(2)}}
  mapping = ModelMapping((drop("params/b", because="not used"),))
  convert(save(tmp_path / "linen", tree), tmp_path / "nnx", mapping)
  done = convert(tmp_path / "nnx", tmp_path / "back", to="linen")
  assert any("params/b" in n for n in done.notes)


def test_nnx_checkpoint_of_a_training_run_goes_back_by_the_mapping(tmp_path):
  source = save(tmp_path / "linen", fields(trained()))
  convert(source, tmp_path / "nnx", MAPPING)
  (tmp_path / "nnx" / "linen2nnx.json").unlink()
  model = nnx.eval_shape(lambda: CNN(nnx.Rngs(0)))
  done = convert(tmp_path / "nnx", tmp_path / "back", MAPPING, model, to="linen")
  assert done.step == 3
  with ocp.StandardCheckpointer() as c:
    found = c.restore(tmp_path / "back")
  equal(found["params"], jax.tree.map(jnp.asarray, trained().params))
  equal(found["opt_state"][1][0]["mu"], trained().opt_state[1][0].mu)
  with pytest.raises(MigrateError, match="collection is unknown"):
    convert(tmp_path / "nnx", tmp_path / "other", MAPPING, to="linen")
  with pytest.raises(MigrateError, match="no manifest"):
    convert(tmp_path / "nnx", tmp_path / "other", to="linen")


def test_what_is_not_nnx_is_refused(tmp_path):
  source = save(tmp_path / "linen", fields(trained()))
  with pytest.raises(MigrateError, match="no model at its top"):
    convert(source, tmp_path / "back", to="linen")
  convert(source, tmp_path / "nnx", MAPPING)
  with pytest.raises(MigrateError, match="an NNX state already"):
    convert(tmp_path / "nnx", tmp_path / "again", MAPPING)


def test_only_what_is_named(tmp_path):
  source = save(tmp_path / "linen", fields(trained()))
  done = convert(
    source, tmp_path / "nnx", MAPPING, nnx.eval_shape(lambda: CNN(nnx.Rngs(0))), only=["params/Dense_{i}/**"]
  )
  assert done.optimizer is None
  assert {t.path[:2] for e in done.model.entries for t in e.targets} == {("layers", 0), ("layers", 1)}
  with pytest.raises(MigrateError, match="matches no leaf"):
    convert(source, None, MAPPING, only=["nothing/**"], dry_run=True)
