"""Programs of the wild that are rewritten, run before and after: loops over steps, variables used as parameters."""

import pytest

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

CREATE = """
def create():
  model = Plain(features=3)
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]
  return train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(0.1))
def step(state, x):
  loss, grads = jax.value_and_grad(lambda p: (state.apply_fn({"params": p}, x) ** 2).mean())(state.params)
  return state.apply_gradients(grads=grads), loss
"""


def test_scan_over_steps():
  text = check_same(
    CREATE
    + """
@jax.jit
def epoch(state, xs):
  state, losses = jax.lax.scan(step, state, xs)
  return state, losses
def main():
  state, losses = epoch(create(), jnp.stack(data()))
  return losses
""".replace("epoch(create(), ", "epoch(state, ").replace(
      "  state, losses = epoch", "  state = create()\n  state, losses = epoch"
    )
  )
  assert "  carried = nnx.StateAxes({...: nnx.Carry})\n" in text
  assert "  losses = nnx.scan(step, in_axes=(carried, carried, 0), out_axes=0)(model, optimizer, xs)\n" in text


def test_scan_that_carries_more_than_the_model():
  text = check_same(
    CREATE
    + """
def body(carry, x):
  state, total = carry
  state, loss = step(state, x)
  return (state, total + loss), None
def main():
  state = create()
  (state, total), _ = jax.lax.scan(body, (state, 0.0), jnp.stack(data()))
  return total, state.apply_fn({"params": state.params}, jnp.ones((2, 7)))
"""
  )
  assert "def body(model, optimizer, carry, x):\n  total = carry\n" in text
  assert "  return total + loss, None\n" in text
  assert "out_axes=(nnx.Carry, 0))(model, optimizer, 0.0, jnp.stack(data()))\n" in text


def test_scan_over_parameters_and_optimizer_by_hand():
  check_same(
    """
model = Plain(features=3)
tx = optax.adam(0.1)
def loss_fn(params, x):
  return (model.apply({"params": params}, x)**2).mean()
def main():
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]
  opt_state = tx.init(params)
  @jax.jit
  def train(params, opt_state, xs):
    def body(carry, x):
      params, opt_state = carry
      loss, grads = jax.value_and_grad(loss_fn)(params, x)
      updates, opt_state = tx.update(grads, opt_state, params)
      params = optax.apply_updates(params, updates)
      return (params, opt_state), loss
    (params, opt_state), losses = jax.lax.scan(body, (params, opt_state), xs)
    return params, opt_state, losses
  params, opt_state, losses = train(params, opt_state, jnp.stack(data()))
  return losses
"""
  )


def test_scans_inside_one_another():
  text = check_same(
    """
def make_train(config):
  def train(rng):
    network = Plain(features=config["N"])
    rng, _rng = jax.random.split(rng)
    init_x = jnp.zeros((7,))
    network_params = network.init(_rng, init_x)
    tx = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(learning_rate=0.1, eps=1e-5))
    state = train_state.TrainState.create(apply_fn=network.apply, params=network_params, tx=tx)
    def _update_step(runner_state, unused):
      state, rng, last = runner_state
      def _env_step(runner_state, unused):
        state, rng, last = runner_state
        y = network.apply(state.params, last)
        rng, k = jax.random.split(rng)
        return (state, rng, last + y.sum() * 0.1), y
      runner_state, ys = jax.lax.scan(_env_step, runner_state, None, 3)
      state, rng, last = runner_state
      def _update_epoch(update_state, unused):
        def _update_minibatch(state, x):
          def _loss_fn(params, x):
            y = network.apply(params, x)
            return (y**2).mean(), y
          grad_fn = jax.value_and_grad(_loss_fn, has_aux=True)
          total_loss, grads = grad_fn(state.params, x)
          state = state.apply_gradients(grads=grads)
          return state, total_loss
        state, xs, rng = update_state
        rng, _rng = jax.random.split(rng)
        xs = jax.random.permutation(_rng, xs)
        state, losses = jax.lax.scan(_update_minibatch, state, xs)
        update_state = (state, xs, rng)
        return update_state, losses
      update_state = (state, jnp.stack(data()), rng)
      update_state, loss_info = jax.lax.scan(_update_epoch, update_state, None, 2)
      state = update_state[0]
      rng = update_state[-1]
      runner_state = (state, rng, last)
      return runner_state, loss_info
    rng, _rng = jax.random.split(rng)
    runner_state = (state, _rng, jnp.ones((2, 7)))
    runner_state, metric = jax.lax.scan(_update_step, runner_state, None, 2)
    return metric
  return train
def main():
  out = jax.jit(make_train({"N": 3}))(jax.random.key(0))
  return out
"""
  )
  assert "def _env_step(model, runner_state, unused):\n        rng, last = runner_state\n" in text
  assert "      update_state = (jnp.stack(data()), rng)\n" in text
  assert "      rng = update_state[1]\n" in text


def test_scan_with_statistics():
  check_same(
    """
def create(key):
  model = Net(features=3)
  variables = model.init(key, jnp.ones((1, 7)))
  return TrainState.create(apply_fn=model.apply, params=variables["params"], batch_stats=variables["batch_stats"], tx=optax.adam(0.1))
def train_step(state, x):
  def loss_fn(p):
    y, new = state.apply_fn({"params": p, "batch_stats": state.batch_stats}, x, train=True, mutable=["batch_stats"])
    return (y**2).mean(), new["batch_stats"]
  (loss, stats), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
  return state.apply_gradients(grads=grads, batch_stats=stats), {"loss": loss}
def main():
  state = create(jax.random.key(0))
  state, metrics = jax.lax.scan(train_step, state, jnp.stack(data()))
  y = state.apply_fn({"params": state.params, "batch_stats": state.batch_stats}, jnp.ones((2, 7)), train=False)
  return metrics["loss"], y
"""
  )


def test_all_variables_as_parameters():
  text = check_same(
    """
def main():
  network = Plain(features=3)
  params = network.init(jax.random.key(0), jnp.zeros((7,)))
  tx = optax.adam(0.1)
  opt_state = tx.init(params)
  @jax.jit
  def step(params, opt_state, x):
    def loss_fn(params):
      return (network.apply(params, x)**2).mean()
    loss, grads = jax.value_and_grad(loss_fn)(params)
    updates, opt_state = tx.update(grads, opt_state)
    params = optax.apply_updates(params, updates)
    return params, opt_state, loss
  out = []
  for x in data():
    params, opt_state, loss = step(params, opt_state, x)
    out.append(loss)
  return out
"""
  )
  assert "      return (model(x)**2).mean()\n" in text


def test_training_state_of_all_variables():
  check_same(
    """
def main():
  network = Plain(features=3)
  state = train_state.TrainState.create(apply_fn=network.apply, params=network.init(jax.random.key(0), jnp.zeros((1, 7))), tx=optax.adam(0.1))
  @jax.jit
  def step(state, x):
    def loss_fn(params):
      return (state.apply_fn(params, x)**2).mean()
    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    return state.apply_gradients(grads=grads), loss
  out = []
  for x in data():
    state, loss = step(state, x)
    out.append(loss)
  return out
"""
  )


def test_init_with_output_and_table():
  text = check_same(
    """
model = Plain(features=3)
def main():
  y, params = model.init_with_output(jax.random.key(0), jnp.ones((1, 7)), train=False)
  print(model.tabulate(jax.random.key(0), jnp.ones((1, 7)), depth=1)[:20])
  return y, model.apply(params, jnp.ones((2, 7)))
"""
  )
  assert "  y = model(jnp.ones((1, 7)), train=False)\n" in text
  assert "nnx.tabulate(model, jnp.ones((1, 7)), depth=1)" in text


def test_table_of_a_model_that_is_not_there_yet():
  text = check_same(
    """
def main():
  model = Plain(features=3)
  text = model.tabulate(jax.random.key(0), jnp.ones((1, 7)))
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]
  return model.apply({"params": params}, jnp.ones((2, 7)))
"""
  )
  assert "nnx.tabulate(Plain(in_features=7, features=3, rngs=nnx.Rngs(jax.random.key(0))), jnp.ones((1, 7)))" in text


@pytest.mark.parametrize(
  ("main", "said"),
  [
    ("  def body(state, x):\n    new, loss = step(state, x)\n    return state, loss\n  return jax.lax.scan(body, create(), data())", "used after it was updated"),
    ("  state = create()\n  def body(carry, x):\n    state, n = carry\n    state, loss = step(state, x)\n    return (n, state), loss\n  return jax.lax.scan(body, (state, 1), data())", "what it carries"),
    ("  state = create()\n  return jax.lax.scan(lambda s, x, n=1: step(s, x), state, data())", "more than (carry, x)"),
    ("  state = create()\n  return jax.lax.scan(functools.partial(step), state, data())", "can't be followed"),
    ("  state = create()\n  return jax.lax.fori_loop(0, 3, lambda i, s: step(s, data()[i])[0], state)", "can't be followed"),
    ("  state = create()\n  mask = [True, False]\n  return optax.adamw(0.1, mask=mask)", "a mask that is a tree"),
    ("  state = create()\n  def last(state, x):\n    state, loss = step(state, x)\n    return {'out': (state, loss)}\n  return last(state, data()[0])", "in a tuple in it"),
    ("  model = Plain(3)\n  return model.tabulate(jax.random.key(0), jnp.ones((1, 7)), mutable=['params'])", "tabulate with mutable"),
    ("  model = Net(3)\n  return model.init_with_output(jax.random.key(0), jnp.ones((1, 7)))[0]", "more than parameters"),
    ("  model = Net(3)\n  v = model.init(jax.random.key(0), jnp.ones((1, 7)))\n  if len(data()):\n    p = v['params']\n  else:\n    p = v['batch_stats']\n  return jax.tree.map(jnp.sum, p)", "something else on another"),
  ],
  ids=lambda v: v[:24] if len(v) < 60 else "main",
)  # fmt: skip
def test_what_is_not_certain_is_left(main, said):
  result = rewritten(f"{DATA}{CREATE}\ndef main():\n{main}\n")
  assert any(said in text for text in left(result)), left(result)
  assert f"def main():\n{main}\n" in result.texts.get("train", f"def main():\n{main}\n")


RNGS = """
@jax.jit
def step(state, x, rngs):
  rngs = {name: jax.random.fold_in(key, state.step) for name, key in rngs.items()}
  def loss_fn(params):
    return (state.apply_fn({"params": params}, x, train=True, rngs=rngs)**2).mean()
  loss, grads = jax.value_and_grad(loss_fn)(state.params)
  return state.apply_gradients(grads=grads), loss
def main():
  model = Plain(features=3)
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]
  state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(0.1))
  rngs = {"dropout": jax.random.key(1)}
  rngs["noise"] = jax.random.key(2)
  out = []
  for x in data():
    state, loss = step(state, x, rngs)
    out.append(loss)
  return out
"""


def test_streams_from_a_dict_that_is_an_argument():
  text = check_same(RNGS)
  assert "    nnx.reseed(model, **rngs)\n" in text
  assert "rngs=nnx.Rngs(params=jax.random.key(0), dropout=jax.random.key(0), noise=jax.random.key(0)))\n" in text


def test_streams_of_two_kinds_from_one_argument():
  more = '    out.append(loss)\n    state, loss = step(state, x, {"other": jax.random.key(3)})\n'
  result = rewritten(DATA + RNGS.replace("    out.append(loss)\n", more))
  assert any("other keys, or None, in `rngs`" in text for text in left(result)), left(result)
  result = rewritten(DATA + RNGS.replace('rngs["noise"]', "rngs[str(state)[:3]]"))
  assert left(result)


def test_streams_that_are_none_in_evaluation():
  text = check_same(
    RNGS.replace("  return out\n", "  return out, evaluate(score, state, data())\n")
    + """
@jax.jit
def score(
  state,
  x,
  rngs=None,
):
  return (state.apply_fn({"params": state.params}, x, rngs=rngs)**2).mean()
def evaluate(
  score_fn,
  state, xs,
  rngs=None,
):
  out = []
  for i, x in enumerate(xs):
    if rngs is not None:
      rngs = {name: jax.random.fold_in(key, i) for name, key in rngs.items()}
    out.append(score_fn(state, x, rngs))
  return out
"""
  )
  assert "  return (model(x)**2).mean()\n" in text
  assert "def score(\n  model,\n  x,\n" in text
