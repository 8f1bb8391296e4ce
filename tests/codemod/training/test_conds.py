"""`jax.lax.cond` over training states, and what whole trainings return: run before and after."""

import pytest

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

TOP = """
class State(train_state.TrainState):
  target: Any
  count: int
def make_train(config):
  def train(key):
    net = Plain(config["features"])
    params = net.init(key, jnp.zeros((7,)))
    state = State.create(apply_fn=net.apply, params=params, target=jax.tree.map(jnp.copy, params), count=0, tx=optax.adam(config["rate"]))
    def learn(state, x):
      goal = net.apply(state.target, x)
      loss, grads = jax.value_and_grad(lambda p: ((net.apply(p, x) - 0.9 * goal - 1) ** 2).mean())(state.params)
      return state.apply_gradients(grads=grads), loss
"""
TRAIN = (
  TOP
  + """
    def body(carry, x):
      state, key = carry
      state = state.replace(count=state.count + 1)
      state, loss = jax.lax.cond(state.count > 1, learn, lambda state, x: (state, jnp.array(0.0)), state, x)
      state = jax.lax.cond(
        state.count % 2 == 0,
        lambda state: state.replace(target=optax.incremental_update(state.params, state.target, 0.7)),
        lambda state: state,
        operand=state,
      )
      return (state, key), {"loss": loss, "count": state.count}
    carry, metrics = jax.lax.scan(body, (state, key), jnp.stack(data(5)))
    return {"carry": carry, "metrics": metrics}
  return train
def main():
  config = {"features": 3, "rate": 0.1}
"""
)


def test_branches_that_change_the_state():
  text = check_same(TRAIN + '  out = jax.jit(make_train(config))(jax.random.key(0))\n  return out["metrics"]\n')
  assert "        loss = nnx.cond(optimizer.count > 1, learn, lambda model, optimizer, x: jnp.array(0.0), model, optimizer, x)\n"[4:] in text  # fmt: skip
  assert (
    "      def when_true(model, optimizer):\n"
    "        nnx.update(optimizer.target, optax.incremental_update(nnx.state(model, nnx.Param), optimizer.target, 0.7))\n\n"
    in text
  )
  assert '    return {"carry": (net, optimizer, carry), "metrics": metrics}\n' in text


def test_trainings_side_by_side():
  keys = "jax.random.split(jax.random.key(0), 2)"
  text = check_same(TRAIN + f'  out = jax.jit(jax.vmap(make_train(config)))({keys})\n  return out["metrics"]\n')
  assert "out = jax.jit(jax.vmap(make_train(config)))(" in text


@pytest.mark.parametrize(
  ("use", "said"),
  [
    ('out["carry"][0].params', "a training state out of a dict"),
    ("jax.tree.map(jnp.shape, out)", "a dict with a model in it"),
    ("list(out.values())", "a dict with a model in it"),
  ],
)
def test_state_in_a_returned_dict_is_not_lost(use, said):
  result = rewritten(DATA + TRAIN + f"  out = make_train(config)(jax.random.key(0))\n  return {use}\n")
  assert any(said in text for text in left(result)), (left(result), result.texts)
  assert result.texts == {}


@pytest.mark.parametrize(
  ("cond", "said"),
  [
    ("jax.lax.cond(x.sum() > 0, learn, lambda state, x: (net.init(key, x), 0.0), state, x)", "do not return the same"),
    ("jax.lax.cond(x.sum() > 0, learn, lambda state: state, state, x)", "a cond over a function of other arguments"),
    ("jax.lax.cond(x.sum() > 0, config['f'], learn, state, x)", "branches that can't be followed"),
    ("jax.lax.cond(x.sum() > 0, lambda x: learn(state, x), lambda x: (state, 0.0), x)", "called by something else"),
  ],
)
def test_what_is_not_certain_is_left(cond, said):
  result = rewritten(f"{DATA}{TOP}    x = data()[0]\n    state, loss = {cond}\n    return loss\n  return train\ndef main(key):\n  return make_train({{'features': 3, 'rate': 1.0}})(key)\n")  # fmt: skip
  assert any(said in text for text in left(result)), (left(result), result.texts)
