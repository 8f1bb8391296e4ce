"""Modules of which several models are made, target networks and parameters as bytes: run before and after."""

import pytest

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

STATE = """
from flax.training.train_state import TrainState
class TrainState(TrainState):
  target: Any
"""
DQN = """
def main():
  network = Plain(features=3)
  key = jax.random.key(0)
  state = TrainState.create(
    apply_fn=network.apply,
    params=network.init(key, jnp.ones((1, 7))),
    target=network.init(key, jnp.ones((1, 7))),
    tx=optax.adam(0.1),
  )

  network.apply = jax.jit(network.apply)
  @jax.jit
  def update(state, x):
    goal = network.apply(state.target, x)
    def loss_fn(params):
      return ((network.apply(params, x) - 0.9 * goal - 1.0)**2).mean()
    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    return state.apply_gradients(grads=grads), loss
  out = []
  for x in data():
    state, loss = update(state, x)
    out.append((loss, network.apply(state.target, x).mean()))
    state = state.replace(target=optax.incremental_update(state.params, state.target, 0.5))
  return out
"""


def test_target_parameters_from_a_second_init_and_a_class_named_as_its_base():
  text = check_same(STATE + DQN)
  assert "class TrainState(nnx.Optimizer):\n" in text
  assert (
    "  optimizer = TrainState(\n      network,\n      optax.adam(0.1),\n"
    "      target=jax.tree.map(jnp.copy, nnx.state(network, nnx.Param)),\n      wrt=nnx.Param,\n  )\n\n  @nnx.jit\n"
    in text
  )
  assert "network.apply" not in text


def test_target_parameters_from_another_key():
  text = check_same(STATE + DQN.replace("target=network.init(key,", "target=network.init(jax.random.key(1),"))
  assert "target=nnx.state(Plain(in_features=7, features=3, rngs=nnx.Rngs(jax.random.key(1))), nnx.Param)," in text


def test_two_models_of_one_module_and_one_loss_for_both():
  text = check_same(
    """
def main():
  critic = Plain(features=1)
  one, two = jax.random.split(jax.random.key(0))
  q1_state = train_state.TrainState.create(apply_fn=critic.apply, params=critic.init(one, jnp.ones((1, 7))), tx=optax.adam(0.1))
  q2_state = train_state.TrainState.create(apply_fn=critic.apply, params=critic.init(two, jnp.ones((1, 7))), tx=optax.sgd(0.1))
  @jax.jit
  def update(q1_state, q2_state, x):
    def loss_fn(params):
      return (critic.apply(params, x)**2).mean()
    l1, g1 = jax.value_and_grad(loss_fn)(q1_state.params)
    l2, g2 = jax.value_and_grad(loss_fn)(q2_state.params)
    return (q1_state.apply_gradients(grads=g1), q2_state.apply_gradients(grads=g2)), (l1, l2)
  out = []
  for x in data():
    (q1_state, q2_state), losses = update(q1_state, q2_state, x)
    out.append(losses)
  return out
"""
  )
  assert "  q1_model = Plain(in_features=7, features=1, rngs=nnx.Rngs(one))\n" in text
  assert "  q2_optimizer = nnx.Optimizer(q2_model, optax.sgd(0.1), wrt=nnx.Param)\n" in text
  assert (
    "    l1, g1 = nnx.value_and_grad(loss_fn)(q1_model)\n    l2, g2 = nnx.value_and_grad(loss_fn)(q2_model)\n" in text
  )


def test_models_of_one_module_in_a_loop():
  check_same(
    """
def main():
  model = Plain(features=3)
  out = []
  for seed in range(2):
    params = model.init(jax.random.key(seed), jnp.ones((1, 7)))["params"]
    out.append(model.apply({"params": params}, jnp.ones((2, 7))))
  return out
"""
  )


def test_parameters_as_bytes():
  text = check_same(
    """
from flax import serialization
def main():
  model = Plain(features=3)
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]
  tx = optax.adam(0.1)
  opt_state = tx.init(params)
  loss, grads = jax.value_and_grad(lambda p: model.apply({"params": p}, data()[0]).mean())(params)
  updates, opt_state = tx.update(grads, opt_state)
  old = serialization.to_bytes(params)
  params = optax.apply_updates(params, updates)
  new = model.apply({"params": params}, data()[0])
  params = serialization.from_bytes(params, old)
  return loss, new, model.apply({"params": params}, data()[0])
"""
  )
  assert "  old = serialization.to_bytes(nnx.to_pure_dict(nnx.state(model, nnx.Param)))\n" in text
  assert "  nnx.update(model, serialization.from_bytes(nnx.to_pure_dict(nnx.state(model, nnx.Param)), old))\n" in text


@pytest.mark.parametrize(
  ("main", "said"),
  [
    ("  def step(s, x):\n    loss, g = jax.value_and_grad(lambda p: m.apply(p, x).mean())(s.params)\n    return s.apply_gradients(grads=g), loss\n  new, l = step(a, x)\n  other, l = step(new, x)\n  return m.apply(new.params, x)", "used after it was updated"),
    ("  def far(p, x):\n    return m.apply(p, x) - m.apply(a.params, x)\n  return far(a.params, x), far(b.params, x)", "given another"),
    ("  return serialization.to_bytes(a)", "written as bytes"),
  ],
  ids=["old state of a nested function", "closed over", "whole state"],
)  # fmt: skip
def test_what_is_left(main, said):
  head = """
from flax import serialization
from flax.training.train_state import TrainState as State
def main():
  x = data()[0]
  m = Plain(features=3)
  a = State.create(apply_fn=m.apply, params=m.init(jax.random.key(0), x), tx=optax.adam(0.1))
  b = State.create(apply_fn=m.apply, params=m.init(jax.random.key(1), x), tx=optax.adam(0.1))
"""
  result = rewritten(f"{DATA}{head}{main}\n")
  assert any(said in text for text in left(result)), (left(result), result.texts)
