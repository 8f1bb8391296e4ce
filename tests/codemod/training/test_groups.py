"""Parameters of several models in one dict or tuple, with one optimizer or with one each."""

import textwrap

import pytest

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

TWO = """
def main():
  actor, critic = Plain(features=3), Plain(features=1)
  k1, k2 = jax.random.split(jax.random.key(0))
  params = {"actor": actor.init(k1, jnp.ones((1, 7))), "critic": critic.init(k2, jnp.ones((1, 7)))}
  tx = optax.adam(1e-2)
"""

LOSS = """
  def loss_fn(params, x):
    return jnp.mean((actor.apply(params["actor"], x).sum(-1) - critic.apply(params["critic"], x)[:, 0] - 1.0) ** 2)
"""

STEP = """
  @jax.jit
  def step(params, opt_state, x):
    loss, grads = jax.value_and_grad(loss_fn)(params, x)
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, loss
"""

RUN = """
  losses = []
  for x in data():
    params, opt_state, loss = step(params, opt_state, x)
    losses.append(loss)
"""


def test_two_models_with_one_optimizer_are_an_nnx_dict():
  text = check_same(TWO + "  opt_state = tx.init(params)\n" + LOSS + STEP + RUN + "  return losses, critic.apply(params['critic'], data()[0])\n")  # fmt: skip
  assert "models = nnx.Dict(" in text
  assert 'models["actor"](x)' in text
  assert "optimizer = nnx.Optimizer(models, tx, wrt=nnx.Param)" in text
  assert "loss = step(models, optimizer, x)" in text


def test_a_training_state_of_two_models_and_an_array():
  text = check_same("""
def main():
  policy, value = Plain(features=3), Plain(features=1)
  params = {
    "policy": policy.init(jax.random.key(0), jnp.ones((1, 7)))["params"],
    "value": value.init(jax.random.key(1), jnp.ones((1, 7)))["params"],
    "log_alpha": jnp.zeros(()),
  }
  state = train_state.TrainState.create(apply_fn=policy.apply, params=params, tx=optax.adam(1e-2))

  @jax.jit
  def step(state, x):
    def loss_fn(params):
      y = state.apply_fn({"params": params["policy"]}, x)
      v = value.apply({"params": params["value"]}, x)
      return jnp.mean(y ** 2) * jnp.exp(params["log_alpha"]) + jnp.mean((v - 1.0) ** 2)

    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    return state.apply_gradients(grads=grads), loss

  losses = []
  for x in data():
    state, loss = step(state, x)
    losses.append(loss)
  return losses, jnp.exp(state.params["log_alpha"])
""")
  assert "log_alpha=nnx.Param(jnp.zeros(()))" in text
  assert 'jnp.exp(models["log_alpha"][...])' in text


def test_a_tuple_with_one_optimizer_is_an_nnx_list():
  text = check_same("""
def main():
  enc, dec = Plain(features=7), Plain(features=2)
  enc_params = enc.init(jax.random.key(0), jnp.ones((1, 7)))
  dec_params = dec.init(jax.random.key(1), jnp.ones((1, 7)))
  params = (enc_params, dec_params)
  tx = optax.sgd(0.1, momentum=0.9)
  opt_state = tx.init(params)

  def loss_fn(params, x):
    enc_params, dec_params = params
    return jnp.mean(dec.apply(dec_params, enc.apply(enc_params, x)) ** 2)
""" + STEP + RUN + "  return losses, enc.apply(params[0], data()[0])\n")  # fmt: skip
  assert "nnx.List([enc, dec])" in text
  assert "models[1](models[0](x))" in text


def test_each_has_an_optimizer_and_is_updated_by_itself():
  text = check_same(TWO + """
  actor_opt, critic_opt = tx.init(params["actor"]), tx.init(params["critic"])
""" + LOSS + """
  @jax.jit
  def step(params, actor_opt, critic_opt, x):
    loss, grads = jax.value_and_grad(loss_fn)(params, x)
    updates, actor_opt = tx.update(grads["actor"], actor_opt)
    params["actor"] = optax.apply_updates(params["actor"], updates)
    updates, critic_opt = tx.update(grads["critic"], critic_opt)
    params = {**params, "critic": optax.apply_updates(params["critic"], updates)}
    return params, actor_opt, critic_opt, loss

  losses = []
  for x in data():
    params, actor_opt, critic_opt, loss = step(params, actor_opt, critic_opt, x)
    losses.append(loss)
  return losses
""")  # fmt: skip
  assert 'actor_optimizer.update(models["actor"], grads["actor"])' in text


def test_target_networks_and_labels_of_several_models():
  labels = '{"actor": "fast", "critic": "slow"}'
  text = check_same(TWO + f"""
  tx = optax.multi_transform({{"fast": optax.adam(1e-2), "slow": optax.sgd(0.1)}}, {labels})
  opt_state = tx.init(params)
  target = params

  @jax.jit
  def step(params, target, opt_state, x):
    wanted = critic.apply(target["critic"], x)
    def loss_fn(params):
      frozen = jax.lax.stop_gradient(params["critic"])
      q = critic.apply(frozen, x) + actor.apply(params["actor"], x)
      return jnp.mean((critic.apply(params["critic"], x) - wanted - 1.0) ** 2) + jnp.mean(q ** 2)

    loss, grads = jax.value_and_grad(loss_fn)(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    return params, optax.incremental_update(params, target, 0.1), opt_state, loss

  losses = []
  for x in data():
    params, target, opt_state, loss = step(params, target, opt_state, x)
    losses.append(loss)
  return losses, actor.apply(target["actor"], data()[0])
""")  # fmt: skip
  assert f"nnx.State({labels})" in text


def test_statistics_beside_the_parameters_of_two_models():
  check_same("""
def main():
  enc, dec = Net(features=5), Plain(features=5)
  variables = enc.init(jax.random.key(0), jnp.ones((1, 7)))
  params = {"enc": variables["params"], "dec": dec.init(jax.random.key(1), jnp.ones((1, 7)))["params"]}
  stats = variables["batch_stats"]
  tx = optax.adam(1e-2)
  opt_state = tx.init(params)

  @jax.jit
  def step(params, stats, opt_state, x):
    def loss_fn(params):
      variables = {"params": params["enc"], "batch_stats": stats}
      z, updated = enc.apply(variables, x, train=True, mutable=["batch_stats"])
      return jnp.mean((dec.apply({"params": params["dec"]}, x) - z) ** 2), updated["batch_stats"]

    (loss, stats_), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), stats_, opt_state, loss

  losses = []
  for x in data():
    params, stats, opt_state, loss = step(params, stats, opt_state, x)
    losses.append(loss)
  return losses, enc.apply({"params": params["enc"], "batch_stats": stats}, data()[0])
""")


@pytest.mark.parametrize(
  ("lines", "found"),
  [
    ("  first = params['critic']\n" + RUN + "  return critic.apply(first, data()[0])\n", "`first` is used after"),
    (RUN + "  return {k: v for k, v in params.items()}\n", "`.items()` of part of a model"),
    (RUN + "  twice = {'a': params['actor'], 'b': params['actor']}\n  return twice\n", "the same parameters twice"),
    (RUN + "  return print(params)\n", "goes where it can't be followed"),
  ],
)
def test_what_is_not_certain_is_left(lines, found):
  result = rewritten(DATA + TWO + "  opt_state = tx.init(params)\n" + LOSS + STEP + lines)
  assert any(found in f for f in left(result))
  assert "train" not in result.texts


def test_old_statistics_under_a_second_name_are_left():
  result = rewritten(DATA + textwrap.dedent("""
  def main():
    net = Net(features=3)
    variables = net.init(jax.random.key(0), jnp.ones((1, 7)))
    params, stats = variables["params"], variables["batch_stats"]
    first = stats
    for x in data():
      y, updated = net.apply({"params": params, "batch_stats": stats}, x, train=True, mutable=["batch_stats"])
      stats = updated["batch_stats"]
    return net.apply({"params": params, "batch_stats": first}, x)
  """))  # fmt: skip
  assert any("`first` is used after it was updated" in f for f in left(result))


def test_a_dict_of_parameters_with_one_model_is_no_group():
  result = rewritten("""
  def main():
    model = Plain(features=3)
    params = {"model": model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]}
    return model.apply({"params": params["model"]}, jnp.ones((1, 7)))
  """)
  assert left(result)
  assert "train" not in result.texts


def test_a_module_that_nothing_initialises_is_a_partial():
  text = check_same("""
def main():
  model, spare = Plain(features=3), Plain(features=5)
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))
  return model.apply(params, data()[0])
""")
  assert "functools.partial(Plain, features=5)" in text


def test_one_of_them_is_updated_on_each_way():
  check_same(TWO + """
  actor_opt, critic_opt = tx.init(params["actor"]), tx.init(params["critic"])
  out = []
  for i, x in enumerate(data(4)):
    if i % 2:
      grads = jax.grad(lambda p: jnp.mean((actor.apply(p, x) - 1.0) ** 2))(params["actor"])
      updates, actor_opt = tx.update(grads, actor_opt)
      params["actor"] = optax.apply_updates(params["actor"], updates)
    else:
      grads = jax.grad(lambda p: jnp.mean((critic.apply(p, x) - 1.0) ** 2))(params["critic"])
      updates, critic_opt = tx.update(grads, critic_opt)
      params["critic"] = optax.apply_updates(params["critic"], updates)
    out.append((actor.apply(params["actor"], x), critic.apply(params["critic"], x)))
  return out
""")  # fmt: skip
