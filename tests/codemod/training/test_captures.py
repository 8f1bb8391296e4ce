"""What modules sow, in training code: `nnx.capture` gives it, or keeps it out of the model."""

import dataclasses

import flax.linen as nn
import pytest
from flax import nnx

from migrate.codemod.training import captures
from tests.codemod.training import programs
from tests.codemod.training.programs import CLASSES, left
from tests.codemod.training.running import DATA, check_same, wave

MODULES = {"": "", "Inner_0": "inner/0", "Inner_1": "inner/1", "norm": "norm"}
SOWING = {
  name: dataclasses.replace(cls, sown=frozenset({"intermediates"}), modules=MODULES) for name, cls in CLASSES.items()
}


class Inner(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.Dense(x.shape[-1], kernel_init=wave)(x)
    self.sow("intermediates", "activation", x)
    return x


class LinenPlain(nn.Module):
  features: int
  norm: bool = False

  @nn.compact
  def __call__(self, x, train=False):
    for _ in range(2):
      x = x + Inner()(x)
    if self.norm:
      x = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")(x)
    self.sow("intermediates", "last", x)
    return nn.Dense(self.features, kernel_init=wave, name="out")(x)


class NnxInner(nnx.Module):
  def __init__(self, features, rngs):
    self.dense = nnx.Linear(features, features, kernel_init=wave, rngs=rngs)

  def __call__(self, x):
    x = self.dense(x)
    self.sow(nnx.Intermediate, "activation", x)
    return x


class NnxPlain(nnx.Module):
  def __init__(self, in_features, features, *, norm=False, rngs):
    self.inner = nnx.List([NnxInner(in_features, rngs) for _ in range(2)])
    self.norm = nnx.BatchNorm(in_features, momentum=0.9, rngs=rngs) if norm else None
    self.out = nnx.Linear(in_features, features, kernel_init=wave, rngs=rngs)

  def __call__(self, x, train=False):
    for inner in self.inner:
      x = x + inner(x)
    if self.norm is not None:
      x = self.norm(x, use_running_average=not train)
    self.sow(nnx.Intermediate, "last", x)
    return self.out(x)


def linen_net(features):
  return LinenPlain(features, norm=True)


def nnx_net(in_features, features, *, rngs):
  return NnxPlain(in_features, features, norm=True, rngs=rngs)


def rewritten(code, classes=SOWING):
  return programs.rewritten(DATA + code, classes=classes)


def check(code):
  """The new text of a program that computes the same, and whose steps are compiled as often."""
  return check_same(code, (LinenPlain, linen_net), (NnxPlain, nnx_net), SOWING)


PLAIN = """
traced = []


def step(state, x):
  def loss_fn(params):
    {call}
    return {loss}

  loss, grads = jax.value_and_grad(loss_fn)(state.params)
  return state.apply_gradients(grads=grads), loss


@jax.jit
def jitted(state, x):
  traced.append(1)
  return step(state, x)


def main():
  model = Plain(features=3)
  params = model.init(jax.random.key(0), data()[0])["params"]
  state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1))
  losses = []
  for x in data():
    state, loss = jitted(state, x)
    losses.append(loss)
  return losses, len(traced)
"""


def test_a_step_of_a_model_that_sows_is_compiled_once():
  code = PLAIN.format(call='out = state.apply_fn({"params": params}, x)', loss="(out**2).mean()")
  text = check(code)
  assert "out = nnx.capture(model)(x)\n" in text


def test_a_model_that_sows_nothing_is_called_plainly():
  code = PLAIN.format(call='out = state.apply_fn({"params": params}, x)', loss="(out**2).mean()")
  assert "out = model(x)\n" in rewritten(code, CLASSES).texts["train"]


@pytest.mark.parametrize(
  ("asked", "written"),
  [
    ('got["intermediates"]["last"][0]', 'got["last"][0]'),
    ('got["intermediates"]["Inner_1"]["activation"][0]', 'got["inner"][1]["activation"][0]'),
  ],
)
def test_intermediates_of_a_loss(asked, written):
  call = 'out, got = state.apply_fn({"params": params}, x, mutable=["intermediates"])'
  text = check(PLAIN.format(call=call, loss=f"(out**2).mean() + ({asked}**2).mean()"))
  assert "out, got = nnx.capture(model, nnx.Intermediate)(x)\n" in text
  assert f"({written}**2)" in text


def test_intermediates_that_nobody_reads():
  call = 'out, _ = state.apply_fn({"params": params}, x, mutable=["intermediates"])'
  assert "out = nnx.capture(model)(x)\n" in check(PLAIN.format(call=call, loss="(out**2).mean()"))


@pytest.mark.parametrize(
  "asked",
  [
    'mutable=["intermediates"], capture_intermediates=True',
    "capture_intermediates=True",
    "mutable=False, capture_intermediates=lambda module, name: name == '__call__'",
  ],
)
def test_capture_intermediates(asked):
  call = f'out, got = state.apply_fn({{"params": params}}, x, {asked})'
  text = check(PLAIN.format(call=call, loss='(got["intermediates"]["Inner_0"]["__call__"][0]**2).mean()'))
  assert "nnx.capture(model, nnx.Intermediate, method_outputs=nnx.Intermediate)(x)" in text


@pytest.mark.parametrize(
  ("more", "target", "kept"),
  [
    ("", "out, sown = nnx", False),
    ('\n    print(got["intermediates"]["last"][0])', "out, got = nnx", True),
    ("\n    sown = sown", "out, got = nnx", True),
  ],
)
def test_a_second_name_of_what_was_sown_is_its_first(more, target, kept):
  call = f'out, got = state.apply_fn({{"params": params}}, x, mutable=["intermediates"])\n    sown = got["intermediates"]{more}'
  text = check(PLAIN.format(call=call, loss='(out**2).mean() + (sown["last"][0]**2).mean()'))
  assert target in text
  assert ("sown = got\n" in text) is kept


STATISTICS = """
@jax.jit
def step(state, x):
  def loss_fn(params):
    out, updates = state.apply_fn(
      {"params": params, "batch_stats": state.batch_stats}, x, train=True, mutable=["batch_stats", "intermediates"]
    )
    return (out**2).mean(), updates

  (loss, updates), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
  state = state.apply_gradients(grads=grads, batch_stats=updates["batch_stats"])
  return state, loss, updates["intermediates"]["last"][0]


def main():
  model = Net(features=3)
  variables = model.init(jax.random.key(0), data()[0])
  state = TrainState.create(
    apply_fn=model.apply, params=variables["params"], batch_stats=variables["batch_stats"], tx=optax.sgd(0.1)
  )
  out = []
  for x in data():
    state, loss, last = step(state, x)
    out.append((loss, last))
  y, got = state.apply_fn({"params": state.params, "batch_stats": state.batch_stats}, x, mutable="intermediates")
  inner = got["intermediates"]["Inner_0"]
  return out, y, inner["activation"][0]
"""


def test_statistics_and_intermediates_of_one_call():
  text = check(STATISTICS)
  assert "out, updates = nnx.capture(model, nnx.Intermediate)(x, train=True)\n" in text
  assert 'return loss, updates["last"][0]\n' in text
  assert 'inner = got["inner"][0]\n' in text


def test_statistics_of_a_call_with_intermediates_may_not_be_lost():
  code = STATISTICS.replace(', batch_stats=updates["batch_stats"])\n  return', ")\n  return")
  assert any("statistics that a call changes" in f for f in left(rewritten(code)))


@pytest.mark.parametrize(
  ("call", "loss", "found"),
  [
    ('["intermediates"]', 'sum(x.sum() for x in jax.tree.leaves(got["intermediates"]))', "what modules sowed"),
    ('["intermediates"]', 'got["intermediates"][name]["activation"][0].sum()', "by a name that is not known"),
    (
      '["intermediates"]',
      'got["intermediates"]["Inner_0"]["Dense_0"]["__call__"][0].sum()',
      "by a name that is not known",
    ),
    ('["perturbations"]', "out.sum()", "perturbations"),
    ("True", "out.sum()", "mutable=True"),
  ],
)
def test_what_is_not_certain_is_left(call, loss, found):
  call = f'out, got = state.apply_fn({{"params": params}}, x, mutable={call})'
  code = PLAIN.format(call=call, loss=loss)
  result = rewritten(code)
  assert left(result), result.texts
  assert "train" not in result.texts or "capture" not in result.texts["train"]
  assert found in " ".join(left(result))


def test_whether_to_capture_must_be_known():
  call = 'out, got = state.apply_fn({"params": params}, x, capture_intermediates=asked)'
  assert "capture_intermediates=asked" in left(rewritten(PLAIN.format(call=call, loss="out.sum()")))[0]


def test_an_older_flax_has_no_capture(monkeypatch):
  monkeypatch.setattr(captures.flax, "__version__", "0.12.5")
  code = PLAIN.format(call='out = state.apply_fn({"params": params}, x)', loss="(out**2).mean()")
  assert "a call of a model that sows, and flax 0.12.5" in left(rewritten(code))[0]
