"""Single parameters by their Linen names."""

import dataclasses

import pytest

from tests.codemod.training.programs import CLASSES, left, rewritten
from tests.codemod.training.running import DATA, check_same

KNOWN = {
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


def program(**parts):
  return PROGRAM.format(**{"penalty": "", "more": "pass", "also": "0.0", **parts})


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
  assert written in check_same(program(**parts), classes=KNOWN)


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
  result = rewritten(DATA + program(**parts), classes=KNOWN)
  assert left(result)
  assert "train" not in result.texts


def test_names_that_are_not_known_are_left():
  result = rewritten(DATA + program())
  assert "a single parameter by its Linen name" in left(result)[0]
