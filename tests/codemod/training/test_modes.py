"""Training programs of models that ask which collections are mutable."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from migrate.codemod.training.reader import rewrite_training
from tests.codemod.training import programs
from tests.codemod.training.programs import CLASSES, HEADER, left
from tests.codemod.training.running import DATA, check_same, run, wave

PROGRAM = """
def create(x):
  model = Net(features=3)
  variables = model.init(jax.random.key(0), x)
  return TrainState.create(
    apply_fn=model.apply, params=variables["params"], batch_stats=variables["batch_stats"], tx=optax.sgd(0.1)
  )


@jax.jit
def step(state, x):
  def loss_fn(params):
    y, changed = state.apply_fn({"params": params, "batch_stats": state.batch_stats}, x, mutable=["batch_stats"])
    return (y**2).mean(), changed

  (loss, changed), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
  state = state.apply_gradients(grads=grads)
  return state.replace(batch_stats=changed["batch_stats"]), loss


@jax.jit
def evaluate(state, x):
  return state.apply_fn({"params": state.params, "batch_stats": state.batch_stats}, x).mean()


def main():
  batches = data()
  state = create(batches[0])
  losses = []
  for x in batches:
    state, loss = step(state, x)
    losses.append(loss)
    losses.append(evaluate(state, x))
  return losses
"""


class LinenNet(nn.Module):
  """Statistics that follow the caller's `mutable=`."""

  features: int

  @nn.compact
  def __call__(self, x):
    x = nn.Dense(self.features, kernel_init=wave, name="out")(x)
    mean = self.variable("batch_stats", "mean", jnp.zeros, (self.features,))
    if self.is_mutable_collection("batch_stats"):
      if not self.is_initializing():
        mean.value = 0.5 * mean.value + 0.5 * x.mean(0)
      return x - x.mean(0)
    return x - mean.value


class NnxNet(nnx.Module):
  """The same in NNX."""

  def __init__(self, in_features, features, *, rngs):
    self.use_running_average = False
    self.out = nnx.Linear(in_features, features, kernel_init=wave, rngs=rngs)
    self.mean = nnx.BatchStat(jnp.zeros((features,)))

  def __call__(self, x):
    x = self.out(x)
    if not self.use_running_average:
      self.mean.set_value(0.5 * self.mean[...] + 0.5 * x.mean(0))
      return x - x.mean(0)
    return x - self.mean[...]


def rewritten(code, flags):
  classes = {n: dataclasses.replace(c, flags=flags) for n, c in CLASSES.items()}
  return rewrite_training([("train.py", "train", HEADER + code)], classes)


def test_mutable_statistics_mean_train_and_their_absence_eval():
  result = rewritten(DATA + PROGRAM, {"use_running_average": ("batch_stats", False)})
  assert left(result) == []
  text = result.texts["train"]
  assert "model.train()\n" in text
  assert "model.eval()\n" in text
  wanted = run(HEADER + DATA + PROGRAM, LinenNet, LinenNet)
  found = run(text, NnxNet, NnxNet)
  assert len(wanted) == 6
  for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
    np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


def test_attribute_of_another_collection_is_set_by_name():
  code = """
def main(key, x):
  model = Plain(features=3)
  variables = model.init(key, x)
  return model.apply(variables, x)
"""
  text = rewritten(code, {"update_cache": ("cache", True)}).texts["train"]
  assert "model.set_attributes(update_cache=False)\n  return model(x)" in text


@pytest.mark.parametrize("flags", [None, {}])
def test_layers_that_keep_a_mode_of_their_own_are_left(flags):
  result = rewritten(PROGRAM, flags)
  assert bool(left(result)) == (flags is None)
  assert "model.train()" not in result.texts.get("train", "")


TRAIN = """
def loss_fn(params, state, x, train):
  variables = {"params": params, "batch_stats": state.batch_stats}
CALL
  return (y**2).mean(), (y.mean(), new)
@jax.jit
def train_step(state, x):
  (loss, (mean, new)), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params, state, x, True)
  return state.apply_gradients(grads=grads, batch_stats=new["batch_stats"]), loss, mean
@jax.jit
def eval_step(state, x):
  loss, (mean, _) = loss_fn(state.params, state, x, False)
  return loss, mean
def main():
  model = Net(features=3)
  variables = model.init(jax.random.key(0), jnp.ones((1, 7)))
  state = TrainState.create(apply_fn=model.apply, params=variables["params"], batch_stats=variables["batch_stats"], tx=optax.adam(0.1))
  out = []
  for x in data():
    state, loss, mean = train_step(state, x)
    out.append((loss, mean, eval_step(state, x)))
  return out
"""
OUTS = """
  outs = state.apply_fn(variables, x, train=train, mutable=["batch_stats"] if train else False)
  y, new = outs if train else (outs, None)
"""
BRANCHES = """
  if train:
    y, new = state.apply_fn(variables, x, train=True, mutable=["batch_stats"])
  else:
    y, new = state.apply_fn(variables, x, train=False), None
"""


@pytest.mark.parametrize(
  ("call", "wanted"),
  [(OUTS, "  outs = model(x, train=train)\n"), (BRANCHES, "    y = model(x, train=True)\n")],
  ids=["outs", "branches"],
)
def test_argument_that_says_whether_statistics_change(call, wanted):
  text = check_same(TRAIN.replace("\nCALL\n", call))
  assert wanted in text
  assert "  return (y**2).mean(), y.mean()\n" in text
  assert "  loss, mean = loss_fn(model, x, False)\n" in text


@pytest.mark.parametrize(
  ("change", "said"),
  [
    (("state, x, False)", "state, x, len(x) > 3)"), "which is not known here"),
    (("state, x, False)", "state, x, True)"), "thrown away"),
    (("if train else False", "if len(x) else False"), "mutable= that is computed"),
    (("y, new = outs if train else (outs, None)", "y = outs\n  new = None"), "can't be followed"),
  ],
)
def test_statistics_that_may_be_lost_are_left(change, said):
  result = programs.rewritten(DATA + TRAIN.replace("\nCALL\n", OUTS).replace(*change))
  assert any(said in text for text in left(result)), left(result)
  assert result.texts == {}
