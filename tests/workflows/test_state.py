"""Live NNX objects: filled, refused, read back."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx
from flax.core import freeze
from flax.linen.partitioning import AxisMetadata

import migrate
from migrate.core.declare import ModelMapping, move, tie
from migrate.core.report import MigrateError
from migrate.workflows.state import abstract_optimizer, specs, variable_leaves
from tests.mappings.optimizers import cases
from tests.workflows.small import CNN, MAPPING, equal, trained

pytestmark = pytest.mark.filterwarnings("ignore")


def variables():
  return {"params": trained().params, "batch_stats": trained().batch_stats}


class Tied(nnx.Module):
  def __init__(self, rngs: nnx.Rngs):
    self.embed = nnx.Embed(5, 3, rngs=rngs)
    self.out = nnx.Embed(5, 3, rngs=rngs)
    self.out.embedding = self.embed.embedding


class Counter(nnx.Module):
  def __init__(self, kind: type[nnx.Variable]):
    self.w = nnx.Param(jnp.zeros(2))
    self.n = kind(jnp.zeros((), jnp.int32))


class Own(nnx.Variable):
  pass


def test_frozen_dict_is_taken():
  model = migrate.to_nnx(freeze(variables()), CNN(nnx.Rngs(0)), MAPPING)
  equal(migrate.to_linen(model, MAPPING), variables())


def test_names_of_axes_beside_the_parameters_are_no_variables():
  given = {**variables(), "params_axes": {"kernel_axes": AxisMetadata(("in", "out"))}}
  model = migrate.to_nnx(given, CNN(nnx.Rngs(0)), MAPPING)
  equal(migrate.to_linen(model, MAPPING), variables())


def test_partitioning_boxes_are_taken_off():
  class Boxed(nn.Module):
    @nn.compact
    def __call__(self, x):
      init = nn.with_partitioning(nn.initializers.lecun_normal(), ("in", "out"))
      return nn.Dense(3, kernel_init=init, name="dense")(x)

  class Plain(nnx.Module):
    def __init__(self, rngs):
      self.dense = nnx.Linear(2, 3, rngs=rngs)

  boxed = Boxed().init(jax.random.key(0), jnp.ones((1, 2)))
  model = migrate.to_nnx(boxed, Plain(nnx.Rngs(0)))
  np.testing.assert_array_equal(model.dense.kernel.get_value(), boxed["params"]["dense"]["kernel"].value)


def test_rng_state_is_left_alone():
  model = CNN(nnx.Rngs(0))
  before = nnx.state(model, nnx.RngState)
  migrate.to_nnx(variables(), model, MAPPING)
  assert jax.tree.structure(nnx.state(model, nnx.RngState)) == jax.tree.structure(before)


def test_model_is_unchanged_where_something_is_wrong():
  model = CNN(nnx.Rngs(0))
  before = np.asarray(model.conv.kernel.get_value())
  bad = {**variables(), "params": {k: v for k, v in trained().params.items() if k != "head"}}
  with pytest.raises(MigrateError, match="head/bias"):
    migrate.to_nnx(bad, model, MAPPING)
  np.testing.assert_array_equal(np.asarray(model.conv.kernel.get_value()), before)


def test_bare_params_are_told_from_variables():
  with pytest.raises(MigrateError, match="no params"):
    migrate.to_nnx(trained().params, CNN(nnx.Rngs(0)), MAPPING)


def test_tied_weights_are_one_variable():
  table = jnp.arange(15.0).reshape(5, 3)
  model = migrate.to_nnx({"params": {"embed": {"embedding": table}}}, Tied(nnx.Rngs(0)))
  np.testing.assert_array_equal(model.out.embedding.get_value(), table)
  mapping = ModelMapping((tie("params/head/embedding", "embed/embedding"),))
  both = {"params": {"embed": {"embedding": table}, "head": {"embedding": table}}}
  equal(migrate.to_linen(migrate.to_nnx(both, Tied(nnx.Rngs(0)), mapping), mapping), both)
  with pytest.raises(MigrateError, match="differs"):
    migrate.to_nnx({"params": {**both["params"], "head": {"embedding": table + 1}}}, Tied(nnx.Rngs(0)), mapping)


def test_parameters_go_to_param_and_the_rest_does_not():
  source = {"params": {"w": jnp.ones(2)}, "stats": {"n": jnp.ones((), jnp.int32)}}
  migrate.to_nnx(source, Counter(Own))
  with pytest.raises(MigrateError, match="not a Param"):
    migrate.to_nnx(source, Counter(nnx.Param))
  with pytest.raises(MigrateError, match=r"nnx\.Param"):
    migrate.to_nnx({"params": {"w": jnp.ones(2), "n": jnp.ones((), jnp.int32)}}, Counter(Own))
  named = ModelMapping((move("params/n", "n", variable="Own"),))
  migrate.to_nnx({"params": {"w": jnp.ones(2), "n": jnp.ones((), jnp.int32)}}, Counter(Own), named)


def test_collection_of_an_own_type_comes_from_the_mapping():
  mapping = ModelMapping((move("stats/n", "n"),))
  source = {"params": {"w": jnp.ones(2)}, "stats": {"n": jnp.ones((), jnp.int32)}}
  equal(migrate.to_linen(migrate.to_nnx(source, Counter(Own), mapping), mapping), source)


def test_wrong_dtype_is_refused():
  source = {"params": {"w": jnp.ones(2, jnp.bfloat16)}, "stats": {"n": jnp.ones((), jnp.int32)}}
  with pytest.raises(MigrateError, match="Cast"):
    migrate.to_nnx(source, Counter(Own))


def matrices(params):
  return jax.tree.map(lambda x: x.ndim > 1, params)


def labels(params):
  return jax.tree.map(lambda x: "matrix" if x.ndim > 1 else "vector", params)


OPTIMIZERS = {
  "masked": lambda: optax.chain(optax.masked(optax.adam(1e-2), matrices), optax.trace(0.9)),
  "multi_transform": lambda: optax.multi_transform(
    {"matrix": optax.adam(1e-2), "vector": optax.sgd(1e-2, momentum=0.9)}, labels
  ),
  "muon": lambda: optax.contrib.muon(1e-2),
  "lars": lambda: optax.lars(1e-2, momentum=0.9),
  "adan": lambda: optax.adan(1e-2),
  "prodigy": lambda: optax.contrib.prodigy(),
  "adam": lambda: optax.adam(1e-2),
  "sgd": lambda: optax.sgd(1e-2),
  "momentum": lambda: optax.sgd(1e-2, momentum=0.9, nesterov=True),
  "chain": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.linear_schedule(1e-2, 0, 9))),
  "named_chain": lambda: optax.named_chain(("clip", optax.clip(1.0)), ("adam", optax.adam(1e-2))),
  "inject": lambda: optax.inject_hyperparams(optax.adamw)(learning_rate=1e-2),
  "multi_steps": lambda: optax.MultiSteps(optax.adam(1e-2), 2).gradient_transformation(),
  "lamb": lambda: optax.lamb(1e-2),
  "lion": lambda: optax.lion(1e-2),
  "rmsprop": lambda: optax.rmsprop(1e-2, momentum=0.9),
  "adafactor": lambda: optax.adafactor(1e-2, min_dim_size_to_factor=2),
  "ema": lambda: optax.chain(optax.adam(1e-2), optax.ema(0.9)),
  "apply_if_finite": lambda: optax.apply_if_finite(optax.adam(1e-2), 3),
  "sm3": lambda: optax.sm3(1e-2),
  "novograd": lambda: optax.novograd(1e-2),
  "schedule_free": lambda: optax.contrib.schedule_free(optax.sgd(1e-2), 1e-2),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_goes_on_to_the_bit(name):
  tx = OPTIMIZERS[name]()
  params, opt_state = trained().params, tx.init(trained().params)

  def loss(params):
    return sum(jnp.sum(jnp.sin(p) * (i + 1)) for i, p in enumerate(jax.tree.leaves(params)))

  @jax.jit
  def step(params, opt_state):
    updates, opt_state = tx.update(jax.grad(loss)(params), opt_state, params)
    return optax.apply_updates(params, updates), opt_state

  for _ in range(2):
    params, opt_state = step(params, opt_state)
  model = migrate.to_nnx({"params": params, "batch_stats": trained().batch_stats}, CNN(nnx.Rngs(0)), MAPPING)
  optimizer = migrate.optimizer_to_nnx(opt_state, nnx.Optimizer(model, tx, wrt=nnx.Param), MAPPING, step=2)
  equal(migrate.optimizer_to_linen(optimizer, opt_state, MAPPING), opt_state)

  linen = migrate.to_linen(model, MAPPING)["params"]
  grads = jax.grad(loss)(linen)
  probe = migrate.to_nnx({"params": grads, "batch_stats": trained().batch_stats}, CNN(nnx.Rngs(0)), MAPPING)
  nnx.jit(lambda optimizer, model, grads: optimizer.update(model, grads))(optimizer, model, nnx.state(probe, nnx.Param))
  updates, opt_state = jax.jit(tx.update)(grads, opt_state, params)
  for a, b in zip(
    jax.tree.leaves(migrate.to_linen(model, MAPPING)["params"]),
    jax.tree.leaves(optax.apply_updates(params, updates)),
    strict=True,
  ):
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_step_is_kept_unless_it_is_given():
  model = CNN(nnx.Rngs(0))
  optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
  migrate.optimizer_to_nnx(optax.adam(1e-3).init(trained().params), optimizer, MAPPING)
  assert int(optimizer.step.get_value()) == 0
  with pytest.raises(MigrateError, match="one number"):
    migrate.optimizer_to_nnx(optax.adam(1e-3).init(trained().params), optimizer, MAPPING, step=jnp.ones(2))


def test_optimizer_of_another_kind_is_refused_and_unchanged():
  model = CNN(nnx.Rngs(0))
  optimizer = nnx.Optimizer(model, optax.sgd(1e-3, momentum=0.9), wrt=nnx.Param)
  with pytest.raises(MigrateError, match="same Optax transformation"):
    migrate.optimizer_to_nnx(optax.adam(1e-3).init(trained().params), optimizer, MAPPING)


@pytest.mark.parametrize("name", cases.NAMES)
def test_an_abstract_optimizer_is_like_the_real_one(name):
  """Also where a transformation computes with the parameters (copies, hyperparameters, norms)."""
  make = lambda: nnx.Linear(3, 2, rngs=nnx.Rngs(0))
  tx = cases.make(name)
  found = abstract_optimizer(nnx.eval_shape(make), tx)
  real = nnx.eval_shape(lambda: nnx.Optimizer(make(), tx, wrt=nnx.Param))
  assert specs(variable_leaves(found)) == specs(variable_leaves(real))
