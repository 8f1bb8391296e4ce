"""Training programs before and after, and those that must be left alone."""

import ast

import pytest

from tests.codemod.training.programs import HEADER, body, left, rewritten

CREATE = """
def create(key):
  model = Net(features=3)
  variables = model.init(key, jnp.ones((1, 7)), train=False)
  return TrainState.create(
    apply_fn=model.apply, params=variables["params"], tx=optax.adam(1e-3), batch_stats=variables["batch_stats"]
  )

"""
STEP = """
@jax.jit
def step(state, batch):
  def loss_fn(params):
    y, updates = state.apply_fn(
      {"params": params, "batch_stats": state.batch_stats}, batch, train=True, mutable=["batch_stats"]
    )
    return jnp.mean(y**2), updates
  (loss, updates), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
  state = state.apply_gradients(grads=grads)
  state = state.replace(batch_stats=updates["batch_stats"])
  return state, loss

"""
MAIN = """
def main(batches):
  state = create(jax.random.key(0))
  for batch in batches:
    state, loss = step(state, batch)
  return loss
"""


def test_state_with_statistics_becomes_model_and_optimizer():
  result = rewritten(CREATE + STEP + MAIN)
  assert left(result) == []
  assert body(result) == (
    """\
def create(key):
  model = Net(in_features=7, features=3, rngs=nnx.Rngs(key))
  return model, nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)


@nnx.jit
def step(model, optimizer, batch):
  def loss_fn(model):
    y = model(batch, train=True)
    return jnp.mean(y**2)
  loss, grads = nnx.value_and_grad(loss_fn)(model)
  optimizer.update(model, grads)
  return loss


def main(batches):
  model, optimizer = create(jax.random.key(0))
  for batch in batches:
    loss = step(model, optimizer, batch)
  return loss"""
  )


def test_imports_follow():
  text = rewritten(CREATE + STEP + MAIN).texts["train"]
  assert "from flax import nnx\n" in text
  assert "train_state" not in text
  assert "Any" not in text
  assert "class TrainState" not in text


def test_a_second_run_changes_nothing():
  text = rewritten(CREATE + STEP + MAIN).texts["train"]
  again = rewritten(text, header="")
  assert again.texts == {}
  assert left(again) == []


def test_optimizer_by_hand():
  result = rewritten(
    """
    tx = optax.adam(1e-3)
    def init(key):
      params = Plain(features=3).init(key, jnp.ones((1, 7)))["params"]
      return params, tx.init(params)
    @jax.jit
    def update(params, opt_state, batch):
      def loss(params):
        return jnp.mean(Plain(features=3).apply({"params": params}, batch))
      grads = jax.grad(loss)(params)
      updates, opt_state = tx.update(grads, opt_state, params)
      params = optax.apply_updates(params, updates)
      return params, opt_state
    def main(batches):
      params, opt_state = init(jax.random.key(0))
      for batch in batches:
        params, opt_state = update(params, opt_state, batch)
    """
  )
  assert left(result) == []
  text = result.texts["train"]
  assert "optimizer.update(model, grads)" in text
  assert "  model = Plain(in_features=7, features=3, rngs=nnx.Rngs(key))\n" in text
  assert "    model, optimizer = init(jax.random.key(0))\n" in text.replace("  model, opt", "    model, opt")
  assert "update(model, optimizer, batch)\n" in text
  assert "apply(" not in text


def test_dropout_keys_reseed_the_model():
  result = rewritten(
    """
    def create(key):
      model = Plain(features=3)
      params = model.init(key, jnp.ones((1, 7)))["params"]
      return train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1))
    @jax.jit
    def step(state, batch, key):
      key = jax.random.fold_in(key, state.step)
      def loss_fn(params):
        logits = state.apply_fn({"params": params}, batch, train=True, rngs={"dropout": key})
        return logits.mean()
      loss, grads = jax.value_and_grad(loss_fn)(state.params)
      return state.apply_gradients(grads=grads), loss
    def main(batches, key):
      state = create(key)
      for batch in batches:
        state, loss = step(state, batch, key)
    """
  )
  assert left(result) == []
  text = result.texts["train"]
  assert "rngs=nnx.Rngs(params=key, dropout=key)" in text
  assert "    nnx.reseed(model, dropout=key)\n    logits = model(batch, train=True)\n" in text
  assert "jax.random.fold_in(key, optimizer.step[...])" in text
  assert "  optimizer.update(model, grads)\n  return loss\n" in text


def test_functions_in_another_file():
  steps = HEADER + STEP
  result = rewritten(CREATE + MAIN.replace("step(", "steps.step("), HEADER + "import steps\n", steps=steps)
  assert left(result) == []
  assert "def step(model, optimizer, batch):" in result.texts["steps"]
  assert "loss = steps.step(model, optimizer, batch)" in result.texts["train"]


@pytest.mark.parametrize(
  ("change", "said"),
  [
    (("  return state, loss\n", "  old.append(state.params)\n  return state, loss\n"), "can't be followed"),
    (("    state, loss = step(state, batch)", "    new, loss = step(state, batch)"), "used after it was updated"),
    (("  state = state.replace(batch_stats=updates[\"batch_stats\"])\n", ""), "thrown away"),
    (("@jax.jit\ndef step", "@jax.pmap\ndef step"), "mapped over 0 and not replicated"),
    (("return jnp.mean(y**2), updates", "return jnp.mean(y**2) + state.params['a'].sum(), updates"), "single parameter"),
    (('mutable=["batch_stats"]', 'mutable=["batch_stats", "intermediates"]'), "intermediates"),
    (("state.apply_gradients(grads=grads)", "state.apply_gradients(grads=clip(grads))"), "gradients"),
  ],
  ids=lambda v: v[1][:40] if isinstance(v, tuple) else v[:12],
)  # fmt: skip
def test_what_is_not_certain_is_left(change, said):
  before = CREATE + STEP + MAIN
  assert change[0] in before
  result = rewritten(before.replace(*change))
  assert any(said in text for text in left(result)), left(result)
  assert result.texts == {}, "all that is trained together stays as it was"


def test_code_without_a_known_model_is_left_alone():
  result = rewritten(STEP + "def main(state, batches):\n  for b in batches:\n    state, loss = step(state, b)\n")
  assert result.texts == {}


@pytest.mark.parametrize(
  "code",
  ["x = 1\n", "def f(params):\n  return params['a']\n", "model = Net(features=3)\nprint(model)\n", "match 1:\n  case 1: pass\n",
   "async def f():\n  async with a as b: yield b\n", "def f(*a, **k): return f(*a, **k)\n", "lambda: (yield)\n"],
)  # fmt: skip
def test_other_code_stays_byte_for_byte(code):
  result = rewritten(code)
  assert result.texts == {}


def test_every_new_text_parses():
  for text in rewritten(CREATE + STEP + MAIN).texts.values():
    ast.parse(text)


MASKED = """
def decay(params):
  return jax.tree.map(lambda p: p.ndim > 1, params)
def make_tx(lr):
  return optax.adamw(lr, mask=decay)
def create(key, model: Plain):
  params = model.init(key, jnp.ones((1, 7)))["params"]
  return train_state.TrainState.create(apply_fn=model.apply, params=params, tx=make_tx(0.1))
def main(key):
  model = Plain(3)
  return create(key, model)
"""


def test_masks_over_parameters_are_wrapped():
  result = rewritten(MASKED)
  assert left(result) == []
  assert "mask=lambda params: nnx.State(decay(nnx.to_pure_dict(params))))" in result.texts["train"]


def test_masks_of_other_programs_stay():
  assert rewritten(MASKED[: MASKED.index("def create")]).texts == {}


def test_module_given_to_a_function_before_init_becomes_a_partial():
  text = rewritten(MASKED).texts["train"]
  assert "  model = functools.partial(Plain, features=3)\n" in text
  assert (
    "def create(key, model: functools.partial[Plain]):\n  model = model(in_features=7, rngs=nnx.Rngs(key))\n" in text
  )


def test_modules_with_stacked_streams_are_reseeded_by_shape():
  import dataclasses

  from migrate.codemod.training.reader import rewrite_training
  from tests.codemod.training.programs import CLASSES

  code = """
def main(key, x):
  model = Plain(features=3)
  variables = model.init(key, x)
  return model.apply(variables, x, rngs={"dropout": key})
"""
  stacked = {n: dataclasses.replace(c, stacked=True) for n, c in CLASSES.items()}
  text = rewrite_training([("train.py", "train", HEADER + code)], stacked).texts["train"]
  assert 'nnx.reseed(model, dropout=key, policy="match_shape")\n  return model(x)' in text
  assert "Plain(in_features=x.shape[-1], features=3, rngs=nnx.Rngs(params=key, dropout=key))" in text


def test_argument_with_the_name_of_a_function_does_not_change_the_order():
  main = MAIN.replace("def main(batches)", "def train(batches)")
  result = rewritten("def other(train):\n  return not train\n" + CREATE + STEP + main)
  assert left(result) == []
  assert "    loss = step(model, optimizer, batch)\n" in result.texts["train"]


def test_function_that_nothing_calls_says_so():
  result = rewritten(
    CREATE + STEP + MAIN + "def evaluate(state, x):\n  return state.apply_fn({'params': state.params}, x)\n"
  )
  assert "def evaluate(state, x):\n  return state.apply_fn(" in result.texts["train"]
  (said,) = [f for f in result.findings if f.rule == "L2N400"]
  assert "no caller shows which model `state` holds" in said.found
  assert not [f for f in rewritten(CREATE + STEP + MAIN).findings if f.rule == "L2N400"]


@pytest.mark.parametrize(("function", "told"), [("jax.jit(model.apply)", ["L2N419"]), ("model.apply", [])])
def test_jitted_apply_that_is_gone_is_told(function, told):
  result = rewritten(
    f"""
def main(x, key):
  model = Plain(features=3)
  params = model.init(key, jnp.ones((1, 7)))['params']
  forward = {function}
  return forward({{'params': params}}, x)
"""
  )
  assert [f.rule for f in result.findings if f.rule == "L2N419"] == told
  assert "return model(x)" in body(result)


@pytest.mark.parametrize(
  ("argument", "told"),
  [
    ("next(batches)", ["L2N418"]),
    ("env.action_space.sample()[None]", ["L2N418"]),
    ("jnp.ones((1, 7))", []),
    ("jax.random.normal(key, (1, 7))", []),
  ],
)
def test_arguments_of_init_that_did_something_are_told(argument, told):
  result = rewritten(
    f"""
def main(batches, env, key):
  model = Plain(features=3)
  params = model.init(key, {argument})['params']
  return model.apply({{'params': params}}, jnp.ones((2, 7)))
"""
  )
  assert [f.rule for f in result.findings if f.rule == "L2N418"] == told
  assert left(result) == []
