"""Shapes that training programs have in the wild: each is rewritten, and what only looks like it is left."""

import pytest

from tests.codemod.training.programs import left, rewritten


def test_gradients_and_update_in_functions_of_their_own():
  text = check(
    """
    @jax.jit
    def apply_model(state, x):
      def loss_fn(params):
        logits = state.apply_fn({"params": params}, x)
        return logits.mean(), logits
      (loss, logits), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
      return grads, loss
    @jax.jit
    def update_model(state, grads):
      return state.apply_gradients(grads=grads)
    def epoch(state, batches):
      for x in batches:
        grads, loss = apply_model(state, x)
        state = update_model(state, grads)
      _, loss = apply_model(state, x)
      return state, loss
    def main(key, batches):
      net = Plain(features=3)
      params = net.init(key, jnp.ones([1, 7]))["params"]
      state = train_state.TrainState.create(apply_fn=net.apply, params=params, tx=optax.sgd(0.1))
      state, loss = epoch(state, batches)
      return state
    """
  )
  assert "def apply_model(model, x):" in text
  assert "def update_model(model, optimizer, grads):\n  optimizer.update(model, grads)\n" in text
  assert "    grads, loss = apply_model(model, x)\n    update_model(model, optimizer, grads)\n" in text
  assert "  loss = epoch(net, optimizer, batches)\n  return net, optimizer\n" in text


def test_init_in_a_jitted_function_and_aux_under_one_name():
  text = check(
    """
    def create_model(**options):
      return Net(features=3, **options)
    def initialized(key, size, model):
      shape = (1, size, 7)
      @jax.jit
      def init(*args):
        return model.init(*args)
      variables = init({"params": key}, jnp.ones(shape))
      return variables["params"], variables["batch_stats"]
    def train_step(state, x, schedule):
      def loss_fn(params):
        y, new = state.apply_fn({"params": params, "batch_stats": state.batch_stats}, x, mutable=["batch_stats"])
        return y.mean(), (new, y)
      aux, grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
      new, y = aux[1]
      return state.apply_gradients(grads=grads, batch_stats=new["batch_stats"]), (aux[0], y, schedule(state.step))
    def restore(state, folder):
      return checkpoints.restore_checkpoint(folder, state)
    def main(key, batches):
      model = create_model()
      params, batch_stats = initialized(key, 5, model)
      state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1), batch_stats=batch_stats)
      state = restore(state, "folder")
      step = jax.jit(functools.partial(train_step, schedule=float))
      for x in batches:
        state, metrics = step(state, x)
    """.replace("schedule(state.step))", "1)")
  )
  assert "  return functools.partial(Net, features=3, **options)\n" in text
  assert "  model = model(in_features=shape[-1], rngs=nnx.Rngs(params=key))\n  return model\n" in text
  assert "def init(" not in text
  assert "  y = aux[1]\n  optimizer.update(model, grads)\n  return (aux[0], y, 1)\n" in text
  assert "step = nnx.jit(functools.partial(train_step, schedule=float))" in text
  assert "    metrics = step(model, optimizer, x)\n" in text
  assert '  nnx.update(optimizer, restored["optimizer"])\n' in text
  assert '  restore(model, optimizer, "folder")\n' in text


def test_average_of_parameters_beside_the_model():
  text = check(
    """
    model = Plain(features=3)
    tx = optax.adam(1e-3)
    def loss_fn(params, x):
      return model.apply({"params": params}, x).mean()
    @jax.jit
    def update(params, opt_state, ema, x):
      loss, grads = jax.value_and_grad(loss_fn)(params, x)
      updates, opt_state = tx.update(grads, opt_state)
      params = optax.apply_updates(params, updates)
      ema = jax.tree.map(lambda e, p: 0.9 * e + 0.1 * p, ema, params)
      return params, opt_state, ema, loss
    params = model.init(jax.random.key(0), jnp.ones((4, 7)))["params"]
    opt_state = tx.init(params)
    ema = jax.tree.map(jnp.zeros_like, params)
    for i in range(3):
      params, opt_state, ema, loss = update(params, opt_state, ema, jnp.ones((4, 7)))
    """
  )
  assert "ema = jax.tree.map(jnp.zeros_like, nnx.state(model, nnx.Param))" in text
  assert "  ema, loss = update(model, optimizer, ema, jnp.ones((4, 7)))\n" in text
  assert "def loss_fn(model, x):\n  return model(x).mean()\n" in text


def test_two_models_in_one_step():
  text = check(
    """
    def create(key, size):
      model = Plain(features=size)
      params = model.init(key, jnp.ones((1, 7)))["params"]
      return train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1))
    @jax.jit
    def step(g_state, d_state, z):
      def g_loss(params):
        fake = g_state.apply_fn({"params": params}, z)
        return -d_state.apply_fn({"params": d_state.params}, fake).mean()
      def d_loss(params):
        fake = g_state.apply_fn({"params": g_state.params}, z)
        return d_state.apply_fn({"params": params}, fake).mean()
      g_grads = jax.grad(g_loss)(g_state.params)
      d_grads = jax.grad(d_loss)(d_state.params)
      return g_state.apply_gradients(grads=g_grads), d_state.apply_gradients(grads=d_grads)
    def main(key, batches):
      g_state, d_state = create(key, 7), create(key, 1)
      for z in batches:
        g_state, d_state = step(g_state, d_state, z)
    """
  )
  assert "def step(g_model, g_optimizer, d_model, d_optimizer, z):" in text
  assert "    fake = model(z)\n    return -d_model(fake).mean()\n" in text
  assert "  g_optimizer.update(g_model, g_grads)\n  d_optimizer.update(d_model, d_grads)\n" in text


STEP = """
def create(key):
  model = Plain(features=3)
  params = model.init(key, jnp.ones((1, 7)))["params"]
  return train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1))
@jax.jit
def step(state, x):
  loss, grads = jax.value_and_grad(lambda p: state.apply_fn({"params": p}, x).mean())(state.params)
  return state.apply_gradients(grads=grads), loss
"""


@pytest.mark.parametrize(
  ("main", "rule"),
  [
    ("  step(state, x)  # only to compile it\n  return state", "L2N403"),
    ("  state = jax.device_put(state)\n  return state", "L2N401"),
    ("  states = [state, state]\n  return states", "L2N401"),
    ("  other = state.replace(params=jax.tree.map(jnp.zeros_like, state.params))\n  return other, state.params", "L2N403"),
    ("  ema = float(x)\n  return state.apply_fn({'params': ema}, x)", "L2N402"),
    ("  return state.params['kernel']", "L2N401"),
    ("  def more(y):\n    nonlocal state\n    state, _ = step(state, y)\n  for y in x:\n    more(y)\n  return state", "L2N401"),
    ("  jax.lax.map(lambda y: step(state, y), x)\n  return state", "L2N401"),
    ("  f = jax.jit(step, static_argnames=('state',))\n  return f(state, x)", "L2N401"),
    ("  if x:\n    state = None\n  return state", "L2N401"),
    ("  return state.apply_fn({'params': state.params}, x, mutable=['perturbations'])", "L2N406"),
  ],
)  # fmt: skip
def test_what_looks_alike_is_left(main, rule):
  result = rewritten(f"{STEP}\ndef main(key, x):\n  state = create(key)\n{main}\n")
  assert result.texts == {}
  assert rule in {f.rule for f in result.findings}


def check(code: str) -> str:
  """The new text of a program of which nothing is left."""
  result = rewritten(code)
  assert left(result) == []
  return result.texts["train"]


def test_states_made_inside_tuples_are_not_lost():
  text = check(
    STEP
    + """
def both(key):
  return create(key), 3
def main(key, x):
  (state, size) = both(key)
  one, other = create(key), create(key)
  one, _ = step(one, x)
  state, loss = step(state, x)
  return one, other, state, loss
"""
  )
  assert "  return *create(key), 3\n" in text
  assert "  model, optimizer, size = both(key)\n" in text
  assert text.count("= create(key)\n") == 2
  assert "  loss = step(model, optimizer, x)\n" in text
