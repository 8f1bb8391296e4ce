"""Leaves edited by path with their moments, parts loaded, parameters frozen, weights tied."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import migrate
from migrate.core.declare import ModelMapping, move
from migrate.core.ops import Stack
from migrate.core.report import MigrateError
from tests.workflows.small import CNN, MAPPING, TX, fields, save, trained

pytestmark = pytest.mark.filterwarnings("ignore")


def moments(state, *path):
  """mu and nu of a parameter, from a state of TX."""
  adam = state["opt_state"][1][0]
  for tree in (adam.mu, adam.nu):
    for name in path:
      tree = tree[name]
    yield tree


def test_leaves_and_their_moments_are_cut_alike():
  state = fields(trained())
  cut = lambda x: x[..., :2]
  new = migrate.edit_state(state, {"params/head/**": cut})
  assert new["params"]["head"]["kernel"].shape == (7, 2)
  for old, moment in zip(moments(state, "head", "kernel"), moments(new, "head", "kernel"), strict=True):
    assert np.array_equal(moment, cut(old))
    assert np.abs(moment).max() > 0
  assert new["params"]["Dense_0"]["kernel"] is state["params"]["Dense_0"]["kernel"]
  assert state["params"]["head"]["kernel"].shape == (7, 3)
  # and training goes on
  grads = jax.tree.map(jnp.ones_like, new["params"])
  TX.update(grads, new["opt_state"], new["params"])


def test_a_train_state_stays_one():
  new = migrate.edit_state(trained(), {"params/Dense_{i}/kernel": lambda x: x * 2}, moments=lambda m: m / 2)
  assert type(new) is type(trained())
  assert np.array_equal(new.params["Dense_1"]["kernel"], trained().params["Dense_1"]["kernel"] * 2)
  assert np.array_equal(
    new.opt_state[1][0].mu["Dense_1"]["kernel"], trained().opt_state[1][0].mu["Dense_1"]["kernel"] / 2
  )
  assert int(new.step) == int(trained().step)


def test_moments_may_start_at_zero():
  new = migrate.edit_state(fields(trained()), {"params/head/bias": lambda x: x[:1]}, moments="zeros")
  assert [m.tolist() for m in moments(new, "head", "bias")] == [[0.0], [0.0]]


def test_nnx_model_and_optimizer(tmp_path):
  model = CNN(nnx.Rngs(0))
  optimizer = nnx.Optimizer(model, TX, wrt=nnx.Param)
  migrate.restore(save(tmp_path / "linen", fields(trained())), model, optimizer, MAPPING)
  before = {p: np.asarray(v.get_value()) for p, v in migrate.workflows.state.variable_leaves(optimizer).items()}
  migrate.edit_model(model, {"head/kernel": lambda x: x[:, 1:], "head/bias": lambda x: x[1:]}, optimizer)
  assert model.head.kernel.get_value().shape == (7, 2)
  after = migrate.workflows.state.variable_leaves(optimizer)
  for path, value in before.items():
    want = value[..., 1:] if "head" in path else value
    assert np.array_equal(after[path].get_value(), want), path


@pytest.mark.parametrize(
  ("edits", "options", "said"),
  [
    ({"params/haed/kernel": lambda x: x}, {}, "nearest: params/head/kernel"),
    ({"params/head/**": lambda x: x, "params/*/kernel": lambda x: x}, {}, "both match"),
    ({"params/head/bias": lambda x: x[:1]}, {"moments": lambda m: m}, "beside a parameter"),
    ({"params/head/bias": lambda x: x}, {"moments": "halve"}, "same, zeros or a function"),
  ],
)
def test_edits_that_are_refused(edits, options, said):
  with pytest.raises(MigrateError, match=said):
    migrate.edit_state(fields(trained()), edits, **options)


def test_states_that_do_not_mirror_are_refused():
  params = {"w": jnp.ones((130, 140))}
  state = {"params": params, "opt_state": optax.adafactor(1e-3).init(params)}
  with pytest.raises(MigrateError, match="does not mirror"):
    migrate.edit_state(state, {"params/w": lambda x: x[:64]})


def test_part_of_a_checkpoint(tmp_path):
  path = save(tmp_path / "linen", fields(trained()))
  found = migrate.load_variables(path, ["params/head/**", "batch_stats/**"])
  assert set(found) == {"params", "batch_stats"}
  assert set(found["params"]) == {"head"}
  assert np.array_equal(found["params"]["head"]["kernel"], trained().params["head"]["kernel"])
  with pytest.raises(MigrateError, match="matches nothing"):
    migrate.load_variables(path, ["params/tail/**"])


def test_only_what_is_asked_for_is_read(tmp_path, monkeypatch):
  from migrate.checkpoint import stored

  path = save(tmp_path / "linen", fields(trained()))
  names = []
  read = stored.StoredLeaf.read
  monkeypatch.setattr(stored.StoredLeaf, "read", lambda self: names.append(self.name) or read(self))
  migrate.load_variables(path, ["params/head/bias"])
  assert len(names) == 1


def test_loaded_and_stacked(tmp_path):
  layers = {f"layer_{i}": {"w": np.full((2, 3), i, "float32")} for i in range(12)}
  path = save(tmp_path / "linen", {"params": {**layers, "other": {"w": np.ones(4)}}}, "pytree")
  mapping = ModelMapping((move("params/layer_{i}/**", "layers/**", Stack()), move("params/other/**", "rest/**")))
  found = migrate.load_variables(path, ["params/layer_{i}/**"], mapping)
  assert set(found) == {"layers"}
  assert found["layers"]["w"][:, 0, 0].tolist() == list(range(12))


class Distilled(nnx.Module):
  def __init__(self, rngs):
    self.student = nnx.Linear(3, 2, rngs=rngs)
    self.teacher = migrate.freeze(nnx.Linear(3, 2, rngs=rngs))

  def __call__(self, x):
    return ((self.student(x) - self.teacher(x)) ** 2).mean()


def test_frozen_parameters_are_not_trained():
  model = Distilled(nnx.Rngs(0))
  teacher = np.asarray(model.teacher.kernel.get_value())
  optimizer = nnx.Optimizer(model, optax.adam(1e-1), wrt=nnx.Param)
  assert not any("teacher" in map(str, p) for p, _ in nnx.to_flat_state(nnx.state(optimizer)))
  before = float(model(jnp.ones((4, 3))))
  for _ in range(20):
    optimizer.update(model, nnx.grad(lambda m: m(jnp.ones((4, 3))))(model))
  assert float(model(jnp.ones((4, 3)))) < before
  assert np.array_equal(model.teacher.kernel.get_value(), teacher)


def test_freezing_some_and_none():
  model = CNN(nnx.Rngs(0))
  migrate.freeze(model, "layers/{i}/kernel")
  frozen = [p for p, v in nnx.to_flat_state(nnx.state(model)) if isinstance(v, migrate.Frozen)]
  assert sorted(frozen) == [("layers", 0, "kernel"), ("layers", 1, "kernel")]
  with pytest.raises(MigrateError, match="matches no nnx"):
    migrate.freeze(model, "heads/**")


class Tied(nnx.Module):
  def __init__(self, rngs):
    self.embed = nnx.Embed(5, 3, rngs=rngs)
    self.out = nnx.Embed(5, 3, rngs=rngs)


def test_tied_weights_are_one_variable():
  model = Tied(nnx.Rngs(0))
  with pytest.raises(MigrateError, match="other values"):
    migrate.tie_weights(model, "embed/embedding", "out/embedding")
  model.out.embedding.set_value(model.embed.embedding.get_value())
  migrate.tie_weights(model, "embed/embedding", "out/embedding")
  assert model.out.embedding is model.embed.embedding
  assert len(nnx.to_flat_state(nnx.state(model))) == 1
  with pytest.raises(MigrateError, match="no out/nothing"):
    migrate.tie_weights(model, "embed/embedding", "out/nothing")
