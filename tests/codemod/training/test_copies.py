"""Second names of parameters and states, used after an update: copies. The others are no more than names."""

import pytest

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

STEP = """
def create():
  model = Plain(features=3)
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]
  return model, train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(0.1))
@jax.jit
def step(state, x):
  loss, grads = jax.value_and_grad(lambda p: (state.apply_fn({"params": p}, x) ** 2).mean())(state.params)
  return state.apply_gradients(grads=grads), loss
"""
LOOP = """
def main():
  model, state = create()
  FIRST
  for x in data(5):
    state, loss = step(state, x)
    if loss < best:
      best = loss
      KEEP
  return best, LAST
"""


def loop(first, keep, last):
  """A program that keeps the best."""
  return STEP + LOOP.replace("FIRST", first).replace("KEEP", keep).replace("LAST", last)


def test_best_parameters():
  text = check_same(
    loop(
      "best, params = jnp.inf, state.params",
      "params = state.params",
      "model.apply({'params': params}, jnp.ones((2, 7)))",
    )
  )
  assert "  best, net = jnp.inf, nnx.clone(model)\n" in text
  assert "      net = nnx.clone(model)\n" in text
  assert "  return best, net(jnp.ones((2, 7)))\n" in text


def test_best_parameters_that_are_none_at_first():
  text = check_same(
    loop("best, kept = jnp.inf, None", "kept = state.params", "model.apply({'params': kept}, jnp.ones((2, 7)))")
  )
  assert "      kept = jax.tree.map(jnp.copy, nnx.state(model, nnx.Param))\n" in text


def test_best_parameters_are_put_back():
  text = check_same(
    loop("best, best_params = jnp.inf, state.params", "best_params = state.params", "0\n  pass").replace(
      "  return best, 0\n  pass",
      "  state = state.replace(params=best_params)\n  return best, state.apply_fn({'params': state.params}, x), int(state.step)",
    )
  )
  assert "  nnx.update(model, nnx.state(best_model, nnx.Param))\n" in text


def test_best_state():
  text = check_same(
    loop(
      "best, best_state = jnp.inf, state",
      "best_state = state",
      "best_state.apply_fn({'params': best_state.params}, jnp.ones((2, 7)))",
    )
  )
  assert "      best_model = nnx.clone(model)\n" in text
  text = check_same(loop("best, best_state = jnp.inf, state", "best_state = state", "step(best_state, x)[1]"))
  assert "      best_model, best_optimizer = nnx.clone(model), nnx.clone(optimizer)\n" in text


def test_state_before_a_step():
  text = check_same(
    STEP
    + """
def main():
  _, state = create()
  old = state
  state, loss = step(state, data()[0])
  return optax.global_norm(jax.tree.map(jnp.subtract, state.params, old.params)), loss
"""
  )
  assert "  net = nnx.clone(model)\n" in text


TARGETS = [
  ("target = state.params", "target = state.params", "  return state.apply_gradients(grads=grads), target, loss"),
  (
    "target = state.params",
    "target = optax.incremental_update(state.params, target, 0.1)",
    "  return state.apply_gradients(grads=grads), target, loss",
  ),
  (
    "target = state.params",
    "pass",
    "  state = state.apply_gradients(grads=grads)\n"
    "  return state, optax.incremental_update(state.params, target, 0.1), loss",
  ),
]


@pytest.mark.parametrize(("first", "then", "last"), TARGETS)
def test_target_parameters(first, then, last):
  check_same(
    STEP
    + f"""
@jax.jit
def update(state, target, x):
  wanted = state.apply_fn({{"params": target}}, x) + 1
  loss, grads = jax.value_and_grad(lambda p: ((state.apply_fn({{"params": p}}, x) - wanted) ** 2).mean())(state.params)
{last}
def main():
  _, state = create()
  {first}
  out = []
  for i, x in enumerate(data(5)):
    state, target, loss = update(state, target, x)
    out.append(loss)
    if i % 2:
      {then}
  return out
"""
  )


def test_target_of_its_own_init_in_an_attribute():
  text = check_same(
    """
class Agent:
  def __init__(self):
    self.net = Plain(features=3)
    key = jax.random.key(0)
    params = self.net.init(key, jnp.ones((1, 7)))
    self.state = train_state.TrainState.create(apply_fn=self.net.apply, params=params, tx=optax.adam(0.1))
    self.target = self.net.init(key, jnp.ones((1, 7)))
  def learn(self, x):
    wanted = self.net.apply(self.target, x) + 1
    loss, grads = jax.value_and_grad(lambda p: ((self.net.apply(p, x) - wanted) ** 2).mean())(self.state.params)
    self.state = self.state.apply_gradients(grads=grads)
    self.target = optax.incremental_update(self.state.params, self.target, 0.1)
    return loss
def main():
  agent = Agent()
  return [agent.learn(x) for x in data()]
"""
  )
  assert "self.target = nnx.state(Plain(in_features=7, features=3, rngs=nnx.Rngs(key)), nnx.Param)\n" in text


def test_gradients_that_are_none_at_first():
  check_same(
    STEP
    + """
def main():
  _, state = create()
  grads = None
  for x in data():
    more = jax.grad(lambda p: (state.apply_fn({"params": p}, x) ** 2).mean())(state.params)
    if grads is None:
      grads = more
    else:
      grads = jax.tree.map(jnp.add, grads, more)
  state = state.apply_gradients(grads=grads)
  return step(state, x)[1]
"""
  )


def test_second_names_that_are_never_old_are_no_copies():
  text = check_same(
    STEP
    + """
def main():
  model, state = create()
  for x in data():
    state, loss = step(state, x)
  params = state.params
  final = state
  return model.apply({"params": params}, x), final.apply_fn({"params": final.params}, x)
"""
  )
  assert "clone" not in text
  assert "copy" not in text


def test_a_part_on_one_way_and_then_none_is_left():
  code = "def main():\n  model, state = create()\n  p = 1\n  if state:\n    p = state.opt_state\n  if data():\n    pass\n  return p"
  assert left(rewritten(DATA + STEP + code)) != []


def test_best_parameters_in_an_attribute():
  text = check_same(
    STEP
    + """
class Fit:
  def __init__(self):
    self.model, self.state = create()
    self.best, self.kept = jnp.inf, None
    self.kept = self.state.params
  def fit(self, xs):
    for x in xs:
      self.state, loss = step(self.state, x)
      if loss < self.best:
        self.best = loss
        self.kept = self.state.params
    return self.model.apply({"params": self.kept}, xs[0])
def main():
  return Fit().fit(data(5))
"""
  )
  assert "        self.kept = jax.tree.map(jnp.copy, nnx.state(self.model, nnx.Param))\n" in text
