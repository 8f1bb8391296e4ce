"""Single parameters by their Linen names."""

import dataclasses

import pytest

from migrate.codemod.training.reader import rewrite_training
from tests.codemod.training import running
from tests.codemod.training.programs import CLASSES, HEADER, left

CLASSES_WITH_MODULES = {
  name: dataclasses.replace(cls, modules={m: m for m in ("", "hidden", "norm", "out")}) for name, cls in CLASSES.items()
}
PROGRAM = """
@jax.jit
def step(state, x):
  def loss_fn(params):
    y = state.apply_fn({{"params": params}}, x)
    return (y**2).mean() {penalty}

  loss, grads = jax.value_and_grad(loss_fn)(state.params)
  {more}
  return state.apply_gradients(grads=grads), (loss, {also})


def main():
  model = Plain(features=3)
  params = model.init(jax.random.key(0), data()[0])["params"]
  state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1))
  before = state.params["hidden"]["kernel"]
  out = []
  for x in data():
    state, more = step(state, x)
    out.append(more)
  return out, before, state.params["hidden"]["kernel"] - before
"""


def rewritten(classes=CLASSES_WITH_MODULES, **parts):
  code = running.DATA + PROGRAM.format(**{"penalty": "", "more": "pass", "also": "0.0", **parts})
  return code, rewrite_training([("train.py", "train", HEADER + code)], classes)


@pytest.mark.parametrize(
  ("parts", "written"),
  [
    ({}, "before = model.hidden.kernel[...]\n"),
    ({"penalty": '+ 0.1 * (params["out"]["kernel"]**2).sum()'}, "0.1 * (model.out.kernel[...]**2).sum()"),
    ({"also": '(grads["out"]["bias"]**2).sum()'}, 'return (loss, (grads["out"]["bias"][...]**2).sum())'),
    ({"more": 'w = state.params["out"]["bias"]', "also": "w"}, "w = model.out.bias[...]\n"),
  ],
)
def test_reads_of_one_parameter(parts, written):
  import jax
  import numpy as np

  code, result = rewritten(**parts)
  assert left(result) == []
  text = result.texts["train"]
  assert written in text
  wanted = running.run(HEADER + code, running.LinenPlain, running.LinenNet)
  found = running.run(text, running.NnxPlain, running.NnxNet)
  for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
    np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
  "parts",
  [
    {"penalty": '+ sum(x.sum() for x in jax.tree.leaves(params["out"]))'},  # a part of the tree
    {"more": 'state.params["out"]["bias"] = 0'},  # written
    {"also": 'state.params["other"]["bias"]'},  # none of the model's
    {"also": "state.params[x]['bias']"},
  ],
)
def test_other_parts_of_the_tree_are_left(parts):
  _, result = rewritten(**parts)
  assert left(result)
  assert "train" not in result.texts


def test_names_that_are_not_known_are_left():
  _, result = rewritten(CLASSES)
  assert "a single parameter by its Linen name" in left(result)[0]
