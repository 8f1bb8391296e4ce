"""Classes that are given a model's class, and make the training state after the constructor."""

import pytest

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import check_same

TRAINER = """
class TrainerModule:
  def __init__(self, model_class, model_hparams, exmp, seed=42):
    self.model_class = model_class
    self.model_hparams = model_hparams
    self.seed = seed
    # Create empty model. Note: no parameters yet
    self.model = self.model_class(**self.model_hparams)
    self.create_functions()
    self.init_model(exmp)

  def create_functions(self):
    def calculate_loss(params, batch_stats, x, train):
      outs = self.model.apply({"params": params, "batch_stats": batch_stats}, x, train=train, mutable=["batch_stats"] if train else False)
      y, new_model_state = outs if train else (outs, None)
      return (y**2).mean(), (y.max(), new_model_state)

    def train_step(state, x):
      loss_fn = lambda params: calculate_loss(params, state.batch_stats, x, train=True)
      ret, grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
      loss, top, new_model_state = ret[0], *ret[1]
      state = state.apply_gradients(grads=grads, batch_stats=new_model_state["batch_stats"])
      return state, loss, top

    def eval_step(state, x):
      loss, _ = calculate_loss(state.params, state.batch_stats, x, train=False)
      return loss

    self.train_step = jax.jit(train_step)
    self.eval_step = jax.jit(eval_step)

  def init_model(self, exmp):
    variables = self.model.init(jax.random.key(self.seed), exmp, train=True)
    self.init_params, self.init_batch_stats = variables["params"], variables["batch_stats"]
    self.state = None

  def init_optimizer(self, lr):
    self.state = TrainState.create(
      apply_fn=self.model.apply,
      params=self.init_params if self.state is None else self.state.params,
      batch_stats=self.init_batch_stats if self.state is None else self.state.batch_stats,
      tx=optax.adam(lr),
    )

  def train_model(self, xs, lr):
    self.init_optimizer(lr)
    out = []
    for x in xs:
      self.state, loss, top = self.train_step(self.state, x)
      out.append((loss, top, self.eval_step(self.state, x)))
    return out
"""
MAIN = """
def train(*args, lr=0.1, **kwargs):
  trainer = TrainerModule(*args, **kwargs)
  return trainer.train_model(data(), lr), trainer.train_model(data(), 2 * lr)
def main():
  return train(model_class=Net, model_hparams={"features": 3}, exmp=jnp.ones((2, 7)), lr=0.05)
"""


def test_trainer_that_is_given_the_class():
  text = check_same(TRAINER + MAIN)
  assert "    self.model = self.model_class(in_features=7, **self.model_hparams" not in text
  assert "self.model = self.model_class(in_features=exmp.shape[-1], **self.model_hparams, rngs=nnx.Rngs(" in text
  assert "    self.optimizer = None\n" in text
  assert (
    "    self.optimizer = nnx.Optimizer(self.model, optax.adam(lr), wrt=nnx.Param)\n" in text
    or "wrt=nnx.Param," in text
  )
  assert "      loss, top = self.train_step(self.model, self.optimizer, x)\n" in text
  assert "    loss, top = ret[0], ret[1]\n" in text
  assert "init_params" not in text


def test_checkpoints_of_collections(tmp_path):
  text = check_same(
    TRAINER
    + f"""
  def save(self, step):
    checkpoints.save_checkpoint({str(tmp_path)!r}, target={{"params": self.state.params, "batch_stats": self.state.batch_stats, "step": step}}, step=step, overwrite=True)
  def load(self):
    state_dict = checkpoints.restore_checkpoint({str(tmp_path)!r}, target=None)
    self.state = TrainState.create(
      apply_fn=self.model.apply,
      params=state_dict["params"],
      batch_stats=state_dict["batch_stats"],
      tx=self.state.tx if self.state else optax.sgd(0.1),
    )
    return state_dict["step"]
def main():
  trainer = TrainerModule(model_class=Net, model_hparams={{"features": 3}}, exmp=jnp.ones((2, 7)))
  first = trainer.train_model(data(), 0.1)
  trainer.save(3)
  second = trainer.train_model(data(), 0.1)
  return first, second, trainer.load(), trainer.train_model(data(), 0.1)
"""
  )
  assert 'nnx.update(self.model, nnx.restore_int_paths(state_dict["params"]))' in text
  assert '"params": nnx.to_pure_dict(nnx.state(self.model, nnx.Param))' in text
  assert "self.optimizer.tx if self.optimizer else optax.sgd(0.1)" in text


@pytest.mark.parametrize(
  ("old", "new"),
  [
    # nothing says which class it is
    ("model_class=Net", "model_class=[Net][0]"),
    # the parameters of the beginning come back after training
    ("params=self.init_params if self.state is None else self.state.params", "params=self.init_params"),
    # another class later
    ("self.seed = seed", "self.seed = seed\n    self.model_class = model_class"),
    # statistics where parameters should be
    ("else self.state.params", "else self.state.batch_stats"),
  ],
  ids=lambda v: v[:20],
)
def test_what_is_not_certain_is_left(old, new):
  code = TRAINER + MAIN
  assert old in code
  result = rewritten(code.replace(old, new))
  assert left(result)
  assert "nnx" not in result.texts.get("train", "")


def test_module_that_is_used_before_it_has_variables_stays():
  text = check_same(
    TRAINER.replace("self.create_functions()", "self.create_functions()\n    self.again = self.model") + MAIN
  )
  assert "    self.model = functools.partial(self.model_class, **self.model_hparams)\n" in text


def test_classes_that_are_made_alike():
  both = MAIN.replace(
    "def main", "def other():\n  return train(model_class=Net, model_hparams={}, exmp=jnp.ones((2, 7)))\ndef main"
  )
  assert left(rewritten(TRAINER + both)) == []
  other = both.replace("train(model_class=Net, model_hparams={}", "train(model_class=Plain, model_hparams={}")
  assert left(rewritten(TRAINER + other))


def test_sizes_from_calls_that_make_inputs():
  text = check_same(
    """
def main():
  model = Plain(features=3)
  shape = (7,)
  params = model.init(rngs=jax.random.key(0), x=jnp.expand_dims(jnp.ones(shape), axis=0))["params"]
  other = Plain(features=2)
  more = other.init(jax.random.key(0), jnp.concatenate([jnp.ones((1, 3)), jnp.ones((1, 4))], -1))["params"]
  return model.apply({"params": params}, data()[0]), other.apply({"params": more}, data()[0])
"""
  )
  assert "in_features=shape[-1]" in text
  assert "in_features=jnp.concatenate([jnp.ones((1, 3)), jnp.ones((1, 4))], -1).shape[-1]" in text


def test_average_or_the_parameters():
  text = check_same(
    """
import flax
@flax.struct.dataclass
class Averaged(train_state.TrainState):
  ema_params: Any
@jax.jit
def step(state, x):
  loss, grads = jax.value_and_grad(lambda p: (state.apply_fn({"params": p}, x) ** 2).mean())(state.params)
  state = state.apply_gradients(grads=grads)
  return state.replace(ema_params=jax.tree.map(lambda e, p: 0.9 * e + 0.1 * p, state.ema_params, state.params)), loss
@functools.partial(jax.jit, static_argnames=("ema",))
def evaluate(state, x, ema=True):
  params = state.ema_params if ema else state.params
  return (state.apply_fn({"params": params}, x) ** 2).mean()
def main():
  model = Plain(features=3)
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]
  state = Averaged.create(apply_fn=model.apply, params=params, tx=optax.adam(0.1), ema_params=params)
  out = []
  for x in data():
    state, loss = step(state, x)
    out.append((loss, evaluate(state, x), evaluate(state, x, ema=False)))
  kept = flax.serialization.to_state_dict(state.opt_state)
  return out, kept["0"]["count"]
"""
  )
  assert "params = optimizer.ema_params if ema else nnx.state(model, nnx.Param)" in text
  assert "@flax.struct.dataclass" not in text
  assert "nnx.to_pure_dict(nnx.state(optimizer.opt_state))" in text or ".opt_state))" in text
