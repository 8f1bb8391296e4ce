"""Training states with more in them, averages of parameters, and what only looks like them."""

import pytest

from tests.codemod.training.programs import HEADER, left, rewritten
from tests.codemod.training.running import DATA, check_same


def test_key_in_the_state():
  text = check_same(
    """
class State(train_state.TrainState):
  key: jax.Array
def create(key):
  model = Plain(features=3)
  params = model.init(key, jnp.ones((1, 7)))["params"]
  return State.create(apply_fn=model.apply, params=params, tx=optax.adam(0.1), key=jax.random.key(5))
@jax.jit
def step(state, x):
  k = jax.random.fold_in(state.key, state.step)
  x = x + jax.random.normal(k, x.shape)
  loss, grads = jax.value_and_grad(lambda p: (state.apply_fn({"params": p}, x)**2).mean())(state.params)
  return state.apply_gradients(grads=grads), loss
def main():
  state = create(jax.random.key(0))
  out = []
  for x in data():
    state, loss = step(state, x)
    out.append(loss)
  return out
"""
  )
  assert "class State(nnx.Optimizer):\n  key: nnx.Data[jax.Array]\n" in text
  assert "  return model, State(model, optax.adam(0.1), key=jax.random.key(5), wrt=nnx.Param)\n" in text
  assert "jax.random.fold_in(optimizer.key, optimizer.step[...])" in text


def test_metrics_in_the_state():
  text = check_same(
    """
import flax
@flax.struct.dataclass
class Metrics:
  total: jax.Array
  count: jax.Array
  @classmethod
  def empty(cls):
    return cls(jnp.zeros(()), jnp.zeros(()))
  def merge(self, v):
    return self.replace(total=self.total + v, count=self.count + 1)
class State(train_state.TrainState):
  metrics: Metrics
def create(key):
  model = Plain(features=3)
  params = model.init(key, jnp.ones((1, 7)))["params"]
  return State.create(apply_fn=model.apply, params=params, tx=optax.adam(0.1), metrics=Metrics.empty())
@jax.jit
def step(state, x):
  loss, grads = jax.value_and_grad(lambda p: (state.apply_fn({"params": p}, x)**2).mean())(state.params)
  state = state.apply_gradients(grads=grads)
  state = state.replace(metrics=state.metrics.merge(loss))
  return state
def main():
  state = create(jax.random.key(0))
  out = []
  for x in data():
    state = step(state, x)
    out.append(state.metrics.total)
    state = state.replace(metrics=Metrics.empty())
  return out
"""
  )
  assert "  optimizer.metrics = optimizer.metrics.merge(loss)\n" in text
  assert "    optimizer.metrics = Metrics.empty()\n" in text


def test_average_of_parameters_in_the_state():
  text = check_same(
    """
class State(train_state.TrainState):
  ema_params: Any
def create(key):
  model = Plain(features=3)
  params = model.init(key, jnp.ones((1, 7)))["params"]
  return State.create(apply_fn=model.apply, params=params, tx=optax.adam(0.1), ema_params=params)
@jax.jit
def step(state, x):
  loss, grads = jax.value_and_grad(lambda p: (state.apply_fn({"params": p}, x)**2).mean())(state.params)
  state = state.apply_gradients(grads=grads)
  ema = jax.tree.map(lambda e, p: 0.9 * e + 0.1 * p, state.ema_params, state.params)
  return state.replace(ema_params=ema), loss
def main():
  state = create(jax.random.key(0))
  out = []
  for x in data():
    state, loss = step(state, x)
    out.append(loss)
  return out, state.apply_fn({"params": state.ema_params}, data()[0])
"""
  )
  assert "ema_params=jax.tree.map(jnp.copy, nnx.state(model, nnx.Param))" in text


def test_average_of_parameters_beside_the_state():
  text = check_same(
    """
model = Plain(features=3)
def main():
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]
  tx = optax.sgd(0.1)
  opt_state = tx.init(params)
  ema = params
  @jax.jit
  def step(params, opt_state, ema, x):
    loss, grads = jax.value_and_grad(lambda p: (model.apply({"params": p}, x)**2).mean())(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    ema = optax.incremental_update(params, ema, 0.1)
    return params, opt_state, ema, loss
  out = []
  for x in data():
    params, opt_state, ema, loss = step(params, opt_state, ema, x)
    out.append(loss)
  return out, model.apply({"params": ema}, jnp.ones((2, 7)))
"""
  )
  assert "  ema = jax.tree.map(jnp.copy, nnx.state(model, nnx.Param))\n" in text
  assert "    ema = optax.incremental_update(nnx.state(model, nnx.Param), ema, 0.1)\n" in text


COUNTED = """
class State(train_state.TrainState):
  seen: int = 0
  rounds: int = 0
def create():
  model = Plain(features=3)
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]
  return State.create(apply_fn=model.apply, params=params, tx=optax.adam(0.1))
@jax.jit
def step(state, x):
  loss, grads = jax.value_and_grad(lambda p: (state.apply_fn({"params": p}, x)**2).mean())(state.params)
  new = state.apply_gradients(grads=grads)
  new = new.replace(seen=state.seen + x.shape[0])
  return new, loss
def main():
  state = create()
  out = []
  for x in data():
    state, loss = step(state, x)
    out.append((loss, state.seen))
  return out
"""


def test_count_of_the_state_before_a_step_is_that_of_the_state_after_it():
  text = check_same(COUNTED)
  assert "  optimizer.seen = optimizer.seen + x.shape[0]\n" in text


@pytest.mark.parametrize(
  ("old", "new"),
  [
    ("apply_gradients(grads=grads)", "apply_gradients(grads=grads, seen=1)"),
    ("apply_gradients(grads=grads)", "apply_gradients(grads=grads).replace(seen=1)"),
    ("return new, loss", "return new, loss + state.seen"),
  ],
)
def test_count_that_was_changed_since_is_not(old, new):
  result = rewritten(DATA + COUNTED.replace(old, new))
  assert any("`state` is used after it was updated" in text for text in left(result)), left(result)
  assert result.texts == {}


CREATE = """
class State(train_state.TrainState):
  more: Any
def create():
  model = Plain(features=3)
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]
  return State.create(apply_fn=model.apply, params=params, tx=optax.adam(0.1), more=1)
def main():
  state = create()
"""


@pytest.mark.parametrize(
  ("code", "said"),
  [
    (CREATE + "  old = state.more\n  state = state.replace(more=2)\n  return old", "used after it was updated"),
    (CREATE + "  checkpoints.save_checkpoint('x', state, 1)", "a checkpoint of a training state with more"),
    (CREATE + "  return state.apply_fn({'params': state.more}, data()[0])", "not a model's own"),
    (CREATE.replace("more: Any", "more: Any = functools.partial(int)"), "field `more` with functools.partial(int)"),
    (CREATE.replace("more: Any", "more: Any\n  @property\n  def double(self):\n    return 2"), "a training state with double"),
    (CREATE.replace("more: Any", "tx: Any").replace("more=1", "x=1"), "`x` in a training state"),
    (CREATE.replace("TrainState)", "TrainState, Plain)"), "other bases or decorators"),
    (CREATE + "  ema = jax.tree.map(jnp.copy, state.params)\n  return ema['out']", "a single parameter"),
    (CREATE + "  ema = jax.tree.map(jnp.copy, state.params)\n  return list(ema.items())", "of part of a model"),
    (CREATE + "  ema = jax.tree.map(jnp.copy, state.params)\n  return functools.reduce(ema)", "a tree of parameters given to"),
    (CREATE + "  ema = jax.tree.map(jnp.copy, state.params)\n  return state.apply_fn({'params': ema}, data()[0], rngs={'dropout': 1})", "with rngs"),
    ("import flax\n" + CREATE + "  state = flax.jax_utils.replicate(state)", "a training state with more on several devices"),
  ],
  ids=lambda v: v[:30] if "class" not in v else "main",
)  # fmt: skip
def test_what_is_not_certain_is_left(code, said):
  result = rewritten(DATA + code)
  assert any(said in text for text in left(result)), left(result)
  assert result.texts == {}


LINEN = HEADER.replace("import optax", "import optax\nfrom absl import app\nfrom flax import linen as nn")
GIVEN = """
@functools.partial(jax.jit, static_argnums=1)
def get_initial_params(key, model: nn.Module):
  params = model.init(key, jnp.ones((1, 7)))["params"]
  return params


def create_train_state(params, model: nn.Module, lr):
  state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(lr))
  return state, lr


@jax.jit
def step(state, x):
  grads = jax.grad(lambda p: state.apply_fn({"params": p}, x).sum())(state.params)
  return state.apply_gradients(grads=grads)


def train(model: nn.Module, lr):
  params = get_initial_params(jax.random.key(0), model)
  state, lr = create_train_state(params, model, lr)
  del params
  for _ in range(3):
    state = step(state, jnp.ones((4, 7)))
  return state


def main(argv):
  train(Plain(3), 0.1)


if __name__ == "__main__":
  app.run(main)
"""


def test_function_that_is_given_parameters_gives_the_optimizer_that_it_makes():
  result = rewritten(GIVEN, header=LINEN)
  assert left(result) == []
  text = result.texts["train"]
  assert "  optimizer = nnx.Optimizer(model, optax.sgd(lr), wrt=nnx.Param)\n  return optimizer, lr\n" in text
  assert "  optimizer, lr = create_train_state(model, lr)\n" in text
  assert "del params" not in text
  assert "    step(model, optimizer, jnp.ones((4, 7)))\n  return model, optimizer\n" in text


def test_module_that_stays_a_static_argument_is_one_of_nnx():
  result = rewritten(GIVEN, header=LINEN)
  text = result.texts["train"]
  assert (
    "@functools.partial(nnx.jit, static_argnums=1)\ndef get_initial_params(key, model: functools.partial[nnx.Module]):"
    in text
  )
  assert "flax import linen" not in text


def test_optimizer_state_made_from_given_parameters_is_returned():
  result = rewritten(
    """
    TX = optax.adam(0.1)


    def create_opt_state(params):
      opt_state = TX.init(params)
      return opt_state


    def main(key, x):
      model = Plain(3)
      params = model.init(key, x)["params"]
      opt_state = create_opt_state(params)
      for _ in range(2):
        grads = jax.grad(lambda p: model.apply({"params": p}, x).sum())(params)
        updates, opt_state = TX.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
      return params
    """
  )
  assert left(result) == []
  assert "return optimizer" in result.texts["train"]
  assert "optimizer = create_opt_state(model)" in result.texts["train"]


def test_training_over_functions_that_are_given_parameters_goes_on_alike():
  text = check_same(
    """
@functools.partial(jax.jit, static_argnums=1)
def first(key, model):
  return model.init(key, jnp.ones((1, 7)))["params"]
def create(params, model, lr):
  state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(lr))
  return state
@jax.jit
def step(state, x):
  loss, grads = jax.value_and_grad(lambda p: (state.apply_fn({"params": p}, x) ** 2).mean())(state.params)
  return state.apply_gradients(grads=grads), loss
def train(model, lr):
  params = first(jax.random.key(0), model)
  state = create(params, model, lr)
  del params
  losses = []
  for x in data():
    state, loss = step(state, x)
    losses.append(loss)
  return losses
def main():
  return train(Plain(features=3), 0.1)
"""
  )
  assert "optimizer = create(model, lr)" in text


def test_argument_that_goes_takes_its_line_with_it():
  result = rewritten(
    """
    def update(
        params,
        apply_fn,
        x,
    ):
      return apply_fn({"params": params}, x)


    def main(key, x):
      model = Plain(3)
      params = model.init(key, x)["params"]
      return update(params, model.apply, x)
    """
  )
  assert left(result) == []
  assert "def update(\n    model,\n    x,\n):\n" in result.texts["train"]


def test_arguments_that_go_side_by_side():
  text = check_same(
    """
def look(x, model, params, batch_stats):
  return model.apply({"params": params, "batch_stats": batch_stats}, x)
def look_again(params, batch_stats, model, x):
  return model.apply({"params": params, "batch_stats": batch_stats}, x)
def main():
  model = Net(features=3)
  variables = model.init(jax.random.key(0), jnp.ones((1, 7)))
  params, batch_stats = variables["params"], variables["batch_stats"]
  return [(look(x, model, params, batch_stats), look_again(params, batch_stats, model, x)) for x in data()]
"""
  )
  assert "def look(x, model):\n" in text
  assert "def look_again(model, x):\n" in text
