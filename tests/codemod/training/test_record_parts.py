"""Objects that have parameters and optimizer state in fields of their own."""

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

PROGRAM = """
from typing import NamedTuple


class State(NamedTuple):
  params: Any
  opt_state: optax.OptState
  step: int


def make(tx, key):
  net = Plain(features=2)
  params = net.init(key, jnp.ones((1, 7)))["params"]
  return net, State(params=params, opt_state=tx.init(params), step=0)


def main():
  tx = optax.adam(3e-3)
  net, state = make(tx, jax.random.key(0))

  @jax.jit
  def step(state, x):
    loss, grads = jax.value_and_grad(lambda p: jnp.mean(net.apply({"params": p}, x) ** 2))(state.params)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return RETURN, loss

  losses = []
  for x in data():
    new, loss = step(state, x)
    LAST
    losses.append(loss)
  return losses, state.step
"""


def program(returned="State(params, opt_state, state.step + 1)", last="state = new"):
  """A program that makes the new object in one way or another."""
  return PROGRAM.replace("RETURN", returned).replace("LAST", last).replace("new, loss", "state, loss" if last == "pass" else "new, loss")  # fmt: skip


def test_model_and_optimizer_are_fields():
  text = check_same(program(last="pass"))
  assert "model: nnx.Module\n  optimizer: nnx.Optimizer\n  step: int" in text
  assert "state = make(tx, jax.random.key(0))" in text
  assert "state.optimizer.update(state.model, grads)" in text
  assert "State(state.model, state.optimizer, state.step + 1)" in text


def test_replace_keeps_what_is_there():
  text = check_same(program("state._replace(params=params, opt_state=opt_state, step=state.step + 1)", "pass"))
  assert "return state._replace(step=state.step + 1), loss" in text


def test_old_parameters_are_left():
  result = rewritten(DATA + program(last="losses.append(net.apply({'params': state.params}, x))\n    state = new"))
  assert any("`state.params` is used after it was updated" in f for f in left(result))
  assert "train" not in result.texts


def test_other_parameters_are_left():
  other = "state._replace(params=Plain(features=2).init(jax.random.key(1), x)['params'])"
  result = rewritten(DATA + program(other, "pass"))
  assert left(result)
  assert "train" not in result.texts


def test_a_field_that_no_caller_shows_is_left():
  result = rewritten(DATA + program(last="pass") + "\n\ndef report(state):\n  return state.opt_state\n")
  assert any("`state.opt_state` may be a field of `State`" in f for f in left(result))
  assert "train" not in result.texts


def test_statistics_are_in_the_model_and_targets_beside_it():
  text = check_same("""
import flax


@flax.struct.dataclass
class State:
  params: Any
  target_params: Any
  batch_stats: Any
  opt_state: optax.OptState


def main():
  net, tx = Net(features=3), optax.sgd(0.1)
  variables = net.init(jax.random.key(0), jnp.ones((1, 7)))
  params = variables["params"]
  state = State(params=params, target_params=params, batch_stats=variables["batch_stats"], opt_state=tx.init(params))

  @jax.jit
  def step(state, x):
    def loss_fn(params):
      variables = {"params": params, "batch_stats": state.batch_stats}
      y, updated = net.apply(variables, x, train=True, mutable=["batch_stats"])
      return jnp.mean((y - 1.0) ** 2), updated["batch_stats"]

    (loss, stats), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    target = optax.incremental_update(params, state.target_params, 0.1)
    return state.replace(params=params, target_params=target, batch_stats=stats, opt_state=opt_state), loss

  losses = []
  for x in data():
    state, loss = step(state, x)
    losses.append(loss)
  variables = {"params": state.params, "batch_stats": state.batch_stats}
  return losses, net.apply(variables, x), optax.global_norm(state.target_params)
""")
  assert "batch_stats" not in text[text.index("class State") : text.index("def main")]
  assert "target_params: Any" in text
