"""Methods of the program's own TrainState classes."""

import pytest

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

PROGRAM = """
class State(train_state.TrainState):
  ema: Any
METHOD


def create(key, features):
  model = Plain(features=features)
  params = model.init(key, jnp.zeros((1, 7)))["params"]
  return State.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-2), ema=params)


def run(state, x):
  loss, grads = jax.value_and_grad(lambda p: jnp.mean((state.apply_fn({"params": p}, x) - 1.0) ** 2))(state.params)
  return state.apply_gradients(grads=grads), loss


def main():
  state, other = create(jax.random.key(0), 2), create(jax.random.key(1), 3)
  losses = []
  for x in data(4):
    state, loss = run(state, x)
    other, _ = run(other, x)
    EACH
    losses.append(loss)
  return losses, LAST
"""
BLEND = """
  def blend(self, tau=0.2):
    return self.replace(ema=optax.incremental_update(self.params, self.ema, tau))
"""


def program(method, each="pass", last="0"):
  """A program whose state has a method."""
  return PROGRAM.replace("METHOD", method).replace("EACH", each).replace("LAST", last)


def test_a_method_that_changes_a_field():
  text = check_same(program(BLEND, "state, other = state.blend(), other.blend(tau=0.5)", "(optax.global_norm(state.ema), optax.global_norm(other.ema))"))  # fmt: skip
  assert "def blend(self, model, tau=0.2):" in text
  assert ".blend(model)" in text


def test_methods_that_compute():
  text = check_same(program(
    "\n  def predict(self, x):\n    return self.apply_fn({'params': self.params}, x)\n"
    "\n  def norm(self):\n    return optax.global_norm(self.ema)\n",
    last="(state.predict(x), other.norm())",
  ))  # fmt: skip
  assert "def norm(self):" in text
  assert "def predict(self, model, x):" in text


def test_a_method_that_updates_and_one_that_nothing_calls():
  text = check_same(program(
    BLEND + "\n  def step_with(self, grads):\n    return self.apply_gradients(grads=grads).blend(0.1)\n"
    "\n  def unused(self, x):\n    return self.apply_fn({'params': self.params}, x)\n",
    "state = state.step_with(jax.grad(lambda p: jnp.mean(state.apply_fn({'params': p}, x) ** 2))(state.params))",
    "optax.global_norm(state.ema)",
  ))  # fmt: skip
  assert "self.update(model, grads)" in text
  assert "return model(x)" in text


@pytest.mark.parametrize(
  ("method", "each", "found"),
  [
    (BLEND, "new = state.blend(); losses.append(state.ema); state = new", "is used after it was updated"),
    ("\n  @property\n  def size(self):\n    return 1\n", "pass", "a training state with size"),
    (
      "\n  def apply_gradients(self, *, grads):\n    return super().apply_gradients(grads=grads)\n",
      "pass",
      "a training state with apply_gradients",
    ),
    (
      "\n  @classmethod\n  def create(cls, **kwargs):\n    return super().create(**kwargs)\n",
      "pass",
      "a training state with create",
    ),
  ],
)
def test_what_is_not_certain_is_left(method, each, found):
  result = rewritten(DATA + program(method, each))
  assert any(found in f for f in left(result))
  assert "train" not in result.texts
