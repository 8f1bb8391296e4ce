"""Models that a traced function meets around itself and changes: given to it, or left."""

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

GAN = """
def create(key, model, size):
  variables = model.init(key, jnp.ones((1, size)))
  return TrainState.create(apply_fn=model.apply, params=variables["params"], batch_stats=variables["batch_stats"], tx=optax.adam(0.1))
@jax.jit
def train_generator(g_state, d_state, z):
  def loss_fn(params):
    fake, g_new = g_state.apply_fn({"params": params, "batch_stats": g_state.batch_stats}, z, train=True, mutable=["batch_stats"])
    y, d_new = d_state.apply_fn({"params": d_state.params, "batch_stats": d_state.batch_stats}, fake, train=True, mutable=["batch_stats"])
    return (y**2).mean(), (g_new, d_new)
  (loss, (g_new, d_new)), grads = jax.value_and_grad(loss_fn, has_aux=True)(g_state.params)
  g_state = g_state.apply_gradients(grads=grads, batch_stats=g_new["batch_stats"])
  return g_state, d_state.replace(batch_stats=d_new["batch_stats"]), loss
def main():
  g_state = create(jax.random.key(0), Net(features=7), 7)
  d_state = create(jax.random.key(1), Net(features=1), 7)
  out = []
  for x in data():
    g_state, d_state, loss = train_generator(g_state, d_state, x)
    y = d_state.apply_fn({"params": d_state.params, "batch_stats": d_state.batch_stats}, x)
    out.append((loss, y))
  return out
"""


def test_statistics_of_another_model_move_in_a_loss():
  text = check_same(GAN)
  assert "  def loss_fn(model, d_model):\n    fake = model(z, train=True)\n    y = d_model(fake, train=True)\n" in text
  assert "  loss, grads = nnx.value_and_grad(loss_fn)(g_model, d_model)\n" in text


def test_each_module_that_a_function_makes_a_model_of_is_a_partial():
  text = check_same(GAN)
  assert "create(jax.random.key(0), functools.partial(Net, features=7), 7)" in text
  assert "create(jax.random.key(1), functools.partial(Net, features=1), 7)" in text


def test_model_around_a_jitted_function_that_changes_it_is_left():
  result = rewritten(
    DATA
    + """
def main(key):
  model = Net(features=3)
  variables = model.init(key, jnp.ones((1, 7)))
  @jax.jit
  def look(x):
    return model.apply(variables, x, train=True, mutable=["batch_stats"])
  y, new = look(jnp.ones((2, 7)))
  return y
"""
  )
  assert any("changed in it" in text for text in left(result)), left(result)
  assert result.texts == {}


def test_models_made_inside_of_vmap_are_left():
  result = rewritten("""
def main(keys):
  model = Plain(features=3)
  def create(key):
    params = model.init(key, jnp.ones((1, 7)))["params"]
    return train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(0.1))
  states = jax.vmap(create)(keys)
  return jax.tree.map(jnp.sum, states.params)
""")
  assert any("makes or changes a model" in text for text in left(result)), left(result)
  assert result.texts == {}


def test_function_kept_in_a_dict_is_read():
  text = check_same("""
def main():
  model = Plain(features=3)
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]
  def score(x):
    return model.apply({"params": params}, x).sum()
  table = {"score": score}
  return [table["score"](x) for x in data()]
""")
  assert "    return model(x).sum()\n" in text


def test_statistics_that_nothing_reads_change_in_a_copy():
  code = GAN.replace("y, d_new = d_state", "y, _ = d_state").replace(
    "(y**2).mean(), (g_new, d_new)", "(y**2).mean(), g_new"
  )
  code = code.replace("(loss, (g_new, d_new)), grads", "(loss, g_new), grads")
  code = code.replace('d_state.replace(batch_stats=d_new["batch_stats"])', "d_state")
  text = check_same(code)
  assert "    fake = model(z, train=True)\n    y = nnx.clone(d_model)(fake, train=True)\n" in text
