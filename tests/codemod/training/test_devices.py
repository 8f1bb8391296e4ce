"""Programs of several devices, on however many the tests have: the same losses, or one finding."""

import pytest

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

TOP = """
from flax import jax_utils
from flax.training import common_utils
def create(model):
  variables = model.init(jax.random.key(0), jnp.ones((1, 7)))
  return TrainState.create(apply_fn=model.apply, params=variables["params"], batch_stats=variables["batch_stats"], tx=optax.adam(0.1))
def loss_and_grads(state, x):
  def loss_fn(params):
    y, new = state.apply_fn({"params": params, "batch_stats": state.batch_stats}, x, train=True, mutable=["batch_stats"])
    return (y**2).mean(), new
  (loss, new), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
  return loss, new, jax.lax.pmean(grads, "batch")
def evaluate(state, x):
  y = state.apply_fn({"params": state.params, "batch_stats": state.batch_stats}, x, train=False)
  return jax.lax.pmean((y**2).mean(), "batch")
"""
REPLICATED = (
  TOP
  + """
def step(state, x):
  loss, new, grads = loss_and_grads(state, x)
  return state.apply_gradients(grads=grads, batch_stats=new["batch_stats"]), jax.lax.pmean(loss, "batch")
mean = jax.pmap(lambda x: jax.lax.pmean(x, "x"), "x")
def synchronized(state):
  return state.replace(batch_stats=mean(state.batch_stats))
def main():
  state = jax_utils.replicate(create(Net(features=3)))
""".replace(
    "jax_utils.replicate(create(Net(features=3)))", "create(Net(features=3))\n  state = jax_utils.replicate(state)"
  )
  + """
  p_step = jax.pmap(step, axis_name="batch", donate_argnums=(0,))
  p_evaluate = jax.pmap(evaluate, "batch")
  out = []
  for x in data():
    batch = common_utils.shard(x)
    state, loss = p_step(state, batch)
    state = synchronized(state)
    out.append(jax_utils.unreplicate((loss, p_evaluate(state, batch))))
"""
)


def test_replicated_state_and_statistics_that_are_synchronized():
  text = check_same(REPLICATED + "  return out, jax_utils.unreplicate(state.step)\n")
  assert "  nnx.update((model, optimizer), jax_utils.replicate(nnx.state((model, optimizer))))\n" in text
  assert '  p_evaluate = nnx.pmap(evaluate, axis_name="batch")\n' in text
  assert '  p_step = nnx.pmap(step, axis_name="batch", donate_argnums=(0, 1))\n' in text
  assert "def synchronized(model):\n  nnx.update(model, mean(nnx.state(model, nnx.BatchStat)))\n" in text
  assert '= jax.pmap(lambda x: jax.lax.pmean(x, "x"), "x")\n' in text


def test_state_that_comes_back_from_the_devices():
  text = check_same(
    REPLICATED
    + """
  state = jax_utils.unreplicate(state)
  return out, state.apply_fn({"params": state.params, "batch_stats": state.batch_stats}, data()[0])
"""
  )
  assert "  nnx.update((model, optimizer), jax_utils.unreplicate(nnx.state((model, optimizer))))\n" in text


@pytest.mark.parametrize(
  "copy", ["jax_utils.unreplicate(state)", "jax.device_get(jax.tree.map(lambda x: x[0], state))"]
)
def test_checkpoint_of_the_first_device(copy, tmp_path):
  text = check_same(
    REPLICATED
    + f"""
    first = {copy}
    checkpoints.save_checkpoint({str(tmp_path)!r}, first, int(first.step), keep=3, overwrite=True)
  return out
"""
  )
  save = copy.replace(
    "state)", '{"model": nnx.state(model, nnx.Not(nnx.RngState)), "optimizer": nnx.state(optimizer)})'
  )
  assert f"{save}, int({copy.replace('state)', 'optimizer.step[...])')}), keep=3" in text


def test_state_that_is_broadcast():
  text = check_same(
    TOP
    + """
def step(state, x, rate):
  loss, new, grads = loss_and_grads(state, x)
  state = state.apply_gradients(grads=grads, batch_stats=jax.lax.pmean(new["batch_stats"], "batch"))
  return state, rate * jax.lax.pmean(loss, "batch")
def main():
  state = create(Net(features=3))
  p_step = jax.pmap(functools.partial(step, rate=0.5), in_axes=(None, 0), out_axes=(None, 0), axis_name="batch")
  p_evaluate = jax.pmap(evaluate, in_axes=(None, 0), axis_name="batch")
  out = []
  for x in data():
    batch = common_utils.shard(x)
    state, loss = p_step(state, batch)
    out.append((loss, p_evaluate(state, batch)))
  return out, int(state.step)
"""
  )
  assert 'nnx.pmap(functools.partial(step, rate=0.5), in_axes=(None, None, 0), axis_name="batch")\n' in text
  assert 'nnx.update(model, jax.lax.pmean(nnx.state(model, nnx.BatchStat), "batch"))\n' in text


def test_partial_with_the_module_and_arguments_by_name():
  text = check_same(
    """
from flax import jax_utils
from flax.training import common_utils
def step(state, x, model, rate, dropout_rng=None):
  dropout_rng = jax.random.fold_in(dropout_rng, state.step)
  def loss_fn(params):
    return (model.apply({"params": params}, x, train=True, rngs={"dropout": dropout_rng})**2).mean()
  loss, grads = jax.value_and_grad(loss_fn)(state.params)
  return state.apply_gradients(grads=jax.lax.pmean(grads, "batch")), rate * jax.lax.pmean(loss, "batch")
def main():
  model = Plain(features=3)
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]
  state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(0.1))
  state = jax_utils.replicate(state)
  p_step = jax.pmap(functools.partial(step, model=model, rate=0.5), axis_name="batch")
  rngs = jax.random.split(jax.random.key(1), jax.local_device_count())
  out = []
  for x in data():
    state, loss = p_step(state, common_utils.shard(x), dropout_rng=rngs)
    out.append(loss)
  return out
"""
  )
  assert (
    "nnx.pmap(lambda model, optimizer, x, dropout_rng: step(model, optimizer, x, rate=0.5, dropout_rng=dropout_rng)"
    in text
  )
  assert "    loss = p_step(model, optimizer, common_utils.shard(x), rngs)\n" in text


@pytest.mark.parametrize(
  ("code", "said"),
  [
    ("  return state.apply_fn({'params': state.params, 'batch_stats': state.batch_stats}, x)", "outside of jax.pmap"),
    ("  return evaluate(state, x)", "outside of jax.pmap"),
    ("  checkpoints.save_checkpoint('x', state, 1)", "outside of jax.pmap"),
    ("  state = jax_utils.replicate(state)", "already on several devices"),
    ("  return jax.pmap(evaluate, in_axes=(None, 0), axis_name='batch')(state, x)", "`state`, which is mapped over None"),
    ("  return jax.jit(jax.pmap(evaluate, axis_name='batch'))(state, x)", "another transform around"),
    ("  if x.size:\n    state = jax_utils.unreplicate(state)\n  return evaluate(state, x)", "used after it was updated"),
    ("  other = jax_utils.unreplicate(state)\n  return evaluate(other, x)", "of part of a model"),
  ],
)  # fmt: skip
def test_what_is_not_certain_is_left(code, said):
  code = f"{TOP}def main(x):\n  state = create(Net(features=3))\n  state = jax_utils.replicate(state)\n{code}\n"
  result = rewritten(DATA + code)
  assert any(said in text for text in left(result)), (left(result), result.texts)
  assert result.texts == {}
