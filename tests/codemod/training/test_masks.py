"""Masks and labels over parameters: the ported model's optimizer moves what Linen's moved; names are checked."""

import dataclasses

import pytest

from tests.codemod.training import programs
from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

TRAIN = """
def train(tx, model, params, batch_stats):
  state = TrainState.create(apply_fn=model.apply, params=params, tx=tx, batch_stats=batch_stats)
  @jax.jit
  def step(state, x):
    def loss_fn(p):
      y, new = state.apply_fn({"params": p, "batch_stats": state.batch_stats}, x, train=True, mutable=["batch_stats"])
      return (y**2).mean(), new
    (loss, new), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    return state.apply_gradients(grads=grads, batch_stats=new["batch_stats"]), loss
  out = []
  for x in data(4):
    state, loss = step(state, x)
    out.append(loss)
  return out, state.apply_fn({"params": state.params, "batch_stats": state.batch_stats}, x)
def main():
  model = Net(features=3)
  variables = model.init(jax.random.key(0), jnp.ones((1, 7)))
  params = variables["params"]
"""


def program(lines, top=""):
  """A program whose optimizer is what `lines` make."""
  last = "  return train(tx, model, params, variables['batch_stats'])\n"
  return f"from flax import traverse_util\nfrom flax.core import unfreeze\n{top}{TRAIN}{lines}{last}"


def test_labels_from_paths():
  text = check_same(
    program("""
  labels = traverse_util.path_aware_map(lambda path, _: "frozen" if "hidden" in path else "free", params)
  tx = optax.multi_transform({"free": optax.adam(0.1), "frozen": optax.set_to_zero()}, labels)
""")
  )
  assert ' "free", nnx.to_pure_dict(nnx.state(model, nnx.Param)))\n' in text
  assert "optax.set_to_zero()}, nnx.State(labels))\n" in text


def test_labels_and_a_mask_made_of_them():
  text = check_same(
    program("""
  moves = unfreeze(traverse_util.path_aware_map(lambda path, _: path[-1] == "kernel", params))
  stays = jax.tree.map(lambda m: not m, moves)
  tx = optax.chain(optax.masked(optax.sgd(0.1), moves), optax.masked(optax.set_to_zero(), stays))
""")
  )
  assert "unfreeze" not in text
  assert "optax.masked(optax.set_to_zero(), nnx.State(stays))" in text


def test_mask_by_shape():
  text = check_same(
    program("""
  mask = jax.tree_util.tree_map(lambda p: p.ndim > 1, params)
  tx = optax.adamw(0.1, weight_decay=0.5, mask=mask)
""")
  )
  assert "mask=nnx.State(nnx.to_pure_dict(mask)))\n" in text


FLAT = """
KEPT = ("bias", "scale")
def decay_mask(params):
  flat = traverse_util.flatten_dict(params)
  return traverse_util.unflatten_dict({path: path[-1] not in KEPT for path in flat})
"""


@pytest.mark.parametrize("mask", ["decay_mask", "decay_mask(params)"])
def test_mask_from_flat_paths(mask):
  text = check_same(program(f"  tx = optax.adamw(0.1, weight_decay=0.5, mask={mask})\n", FLAT))
  assert "nnx.State(decay_mask(" in text


def renamed(code, monkeypatch, module):
  """What is said of a program whose model has a layer by another name, or in a list."""
  paths = tuple((one, (*module, *other[1:]) if one[0] == "hidden" else other) for one, other in programs.PATHS)
  classes = {n: dataclasses.replace(c, paths=paths) for n, c in programs.CLASSES.items()}
  monkeypatch.setattr(programs, "CLASSES", classes)
  return rewritten(DATA + code)


ASKS = """
  labels = traverse_util.path_aware_map(lambda path, _: "frozen" if {} else "free", params)
  tx = optax.multi_transform({{"free": optax.adam(0.1), "frozen": optax.set_to_zero()}}, labels)
"""


@pytest.mark.parametrize(
  ("asks", "module", "said"),
  [
    ("'hidden' in path", ("dense",), "hidden/bias of Linen is dense/bias now"),
    ("any('hid' in p for p in path)", ("dense",), "`hid` asked for"),
    ("'/'.join(path).startswith('hidden/')", ("dense",), "`hidden/` asked for"),
    ("'bias' in '/'.join(path)", ("layers", 0), "used as text"),
    ("path[-1] == 'bias'", ("dense",), ""),
    ("path[-1] == 'bias'", ("layers", 0), ""),
  ],
)
def test_names_that_the_model_has_no_more_are_told(monkeypatch, asks, module, said):
  result = renamed(program(ASKS.format(asks)), monkeypatch, module)
  assert bool(result.texts) == (not said)
  assert any(said in text for text in left(result)) if said else left(result) == []


def test_function_that_asks_for_a_name_of_linen_is_left(monkeypatch):
  asks = FLAT.replace('"scale"', '"hidden"')
  result = renamed(program("  tx = optax.adamw(0.1, mask=decay_mask)\n", asks), monkeypatch, ("dense",))
  assert any("`hidden` asked for" in text for text in left(result))
  assert result.texts == {}


def test_names_that_are_not_known_are_a_matter_for_the_eye(monkeypatch):
  classes = {n: dataclasses.replace(c, paths=None) for n, c in programs.CLASSES.items()}
  monkeypatch.setattr(programs, "CLASSES", classes)
  result = rewritten(DATA + program(ASKS.format("path[-1] == 'bias'")))
  assert left(result) == []
  assert "L2N415" in {f.rule for f in result.findings if f.severity == "eye"}
