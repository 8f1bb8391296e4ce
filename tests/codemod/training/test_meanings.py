"""Modules that are made again for a call: the model that is at hand takes their place only where both are made alike."""

import pytest

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

PROGRAM = """
SIZE = 3
def make(n, unused=True):
  return Plain(features=n)
def create(key, config):
  params = make(config["n"]).init(key, jnp.ones((1, 7)))["params"]
  return train_state.TrainState.create(apply_fn=make(config["n"]).apply, params=params, tx=optax.adam(0.1))
@functools.partial(jax.jit, static_argnums=2)
def step(state, x, n):
  loss, grads = jax.value_and_grad(lambda p: (make(n).apply({"params": p}, x)**2).mean())(state.params)
  return state.apply_gradients(grads=grads), loss
def evaluate(params, x, n):
  def both(net):
    return net(x).sum(), net(x, train=False)
  return nn.apply(both, make(n))({"params": params})
def main():
  config = {"n": SIZE}
  state = create(jax.random.key(0), config)
  out = []
  for x in data():
    state, loss = step(state, x, config["n"])
    out.append(loss)
  return out, evaluate(state.params, jnp.ones((2, 7)), config["n"])
"""
NN = "import flax.linen as nn\n"


def test_module_made_again_in_every_function():
  text = check_same(NN + PROGRAM)
  assert "nnx.value_and_grad(lambda model: (model(x)**2).mean())(model)\n" in text
  assert "  return both(model)\n" in text
  assert "import flax.linen as nn" not in text


@pytest.mark.parametrize(
  ("old", "new", "said"),
  [
    ('step(state, x, config["n"])', "step(state, x, 3)", "one module given to another"),
    ('jnp.ones((2, 7)), config["n"])', "jnp.ones((2, 7)), SIZE)", "one module given to another"),
    ('    out.append(loss)', '    out.append((loss, evaluate(state.params, x, 3)))', "another thing here than elsewhere"),
    ("make(n).apply", "make(n + 0).apply", "one module given to another"),
    ("both, make(n))", "both, make(n), mutable=True)", "nn.apply with options"),
    ("net(x).sum(),", "net.variables,", "more with the module than to call it"),
  ],
  ids=["a number", "another name", "two callers", "computed", "options", "variables"],
)  # fmt: skip
def test_module_that_may_be_another(old, new, said):
  assert old in PROGRAM
  result = rewritten(DATA + NN + PROGRAM.replace(old, new))
  assert any(said in text for text in left(result)), (left(result), result.texts)


def test_factory_that_makes_two_modules():
  text = check_same(
    """
def make(n):
  return Plain(features=n)
def main():
  wide = make(5)
  thin = make(2)
  a = wide.init(jax.random.key(0), jnp.ones((1, 7)))
  b = thin.init(jax.random.key(1), jnp.ones((1, 7)))
  return wide.apply(a, data()[0]), thin.apply(b, data()[0])
"""
  )
  assert "wide(in_features=7, rngs=nnx.Rngs(jax.random.key(0)))" in text
  assert "thin(in_features=7, rngs=nnx.Rngs(jax.random.key(1)))" in text


def test_modules_written_twice_with_an_argument_of_each_function():
  code = """
def create(key, n):
  return Plain(features=n).init(key, jnp.ones((1, 7)))["params"]
def evaluate(params, n):
  return Plain(features=n).apply({"params": params}, data()[0])
def main():
  return evaluate(create(jax.random.key(0), 3), 3)
"""
  named = code.replace("return evaluate(create(jax.random.key(0), 3), 3)", "params = create(jax.random.key(0), 3)\n  return evaluate(params, 3)")  # fmt: skip
  check_same(named)
  result = rewritten(DATA + named.replace("(params, 3)", "(params, 4)"))
  assert any("one module given to another" in text for text in left(result)), (left(result), result.texts)
