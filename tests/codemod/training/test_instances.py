"""Objects of classes that keep no model: what their methods return and are given is followed."""

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

TRAINER = """
class Trainer:
  def __init__(self, features, lr=0.1):
    self.features = features
    self.model = Plain(features=features)
    self.tx = optax.adam(lr)
  def init_state(self, key):
    key, init = jax.random.split(key)
    params = self.model.init(init, jnp.ones((1, 7)))["params"]
    return train_state.TrainState.create(apply_fn=self.model.apply, params=params, tx=self.tx), key
  def loss(self, params, x):
    return (self.model.apply({"params": params}, x) ** 2).mean()
  @functools.partial(jax.jit, static_argnums=(0,))
  def step(self, state, x):
    loss, grads = jax.value_and_grad(self.loss)(state.params, x)
    return state.apply_gradients(grads=grads), loss
  def predict(self, state, x):
    return state.apply_fn({"params": state.params}, x)
"""
UPDATE = """
  def update(self, state, x):
    loss, grads = jax.value_and_grad(lambda p: (state.apply_fn({"params": p}, x) ** 2).mean())(state.params)
    return state.apply_gradients(grads=grads), loss
"""


def test_two_objects_and_their_states():
  text = check_same(
    TRAINER
    + """
def main():
  one, other = Trainer(3), Trainer(5, 0.01)
  state, _ = one.init_state(jax.random.key(0))
  more, _ = other.init_state(jax.random.key(1))
  again, _ = one.init_state(jax.random.key(2))
  out = []
  for x in data():
    state, a = one.step(state, x)
    more, b = other.step(more, x)
    out += [a, b]
  return out, one.predict(state, x), other.predict(more, x), one.predict(again, x), one.features
"""
  )
  assert "    self.model = functools.partial(Plain, features=features)\n" in text
  assert "    return model, nnx.Optimizer(model, self.tx, wrt=nnx.Param), key\n" in text
  assert "  def step(self, model, optimizer, x):\n    loss, grads = nnx.value_and_grad(self.loss)(model, x)\n" in text


def test_object_that_a_function_is_given():
  check_same(
    TRAINER
    + """
def train(trainer, state, xs):
  out = []
  for x in xs:
    state, loss = trainer.step(state, x)
    out.append(loss)
  return state, out
def main():
  trainer = Trainer(3)
  state, _ = trainer.init_state(jax.random.key(0))
  state, losses = train(trainer, state, data())
  return losses, trainer.predict(state, data()[0])
"""
  )


def test_program_without_functions_around_it():
  check_same(
    TRAINER
    + """
trainer = Trainer(3)
state, _ = trainer.init_state(jax.random.key(0))
out = []
for x in data():
  state, loss = trainer.step(state, x)
  out.append(loss)
final = trainer.predict(state, x)
def main():
  return out, final
"""
  )


def test_object_that_another_one_keeps():
  text = check_same(
    TRAINER
    + """
class Runner:
  def __init__(self):
    self.trainer = Trainer(3)
    self.state, _ = self.trainer.init_state(jax.random.key(0))
  def run(self, xs):
    out = []
    for x in xs:
      self.state, loss = self.trainer.step(self.state, x)
      out.append(loss)
    return out, self.trainer.predict(self.state, xs[0])
def main():
  return Runner().run(data())
"""
  )
  assert "    self.model, self.optimizer, _ = self.trainer.init_state(jax.random.key(0))\n" in text


def test_classmethods_of_an_object_without_attributes():
  check_same(
    "class Algo:\n  @classmethod"
    + UPDATE
    + TRAINER
    + """
def main():
  algo, trainer = Algo(), Trainer(3)
  state, _ = trainer.init_state(jax.random.key(0))
  update = jax.jit(algo.update)
  state, loss = update(state, data()[0])
  state, more = trainer.step(state, data()[1])
  return loss, more, trainer.predict(state, data()[0])
"""
  )


def test_what_is_not_certain_is_left():
  code = (
    TRAINER
    + "class Algo:"
    + UPDATE.replace("update", "step")
    + """
def train(trainer, state, x):
  state, loss = trainer.step(state, x)
  return state, loss
def main():
  trainer, algo = Trainer(3), Algo()
  state, _ = trainer.init_state(jax.random.key(0))
  state, loss = train(trainer, state, data()[0])
  USE
  return loss, trainer.predict(state, data()[0])
"""
  )
  found = left(rewritten(DATA + code.replace("USE", "state, loss = train(algo, state, data()[0])")))
  assert any("is given another object" in f for f in found)
  jitted = "state, loss = jax.jit(algo.step, donate_argnums=(0,))(state, data()[0])"
  assert any("given by number" in f for f in left(rewritten(DATA + code.replace("USE", jitted))))
  check_same(code.replace("USE", "state, loss = algo.step(state, data()[0])"))
