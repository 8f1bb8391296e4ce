"""Layers stacked and taken apart: any axis, numeric order, parameters and moments, and only layers that are alike."""

import jax
import numpy as np
import optax
import pytest
from flax import nnx

import migrate
from migrate.core.declare import ModelMapping, move
from migrate.core.moments import lift
from migrate.core.ops import Stack, Unstack
from migrate.core.plan import make_plan
from migrate.core.report import MigrateError
from migrate.core.translate import translate
from migrate.core.tree import flatten, nest

NAMES = ["layers_{i}", "encoderblock_{i:02}", "h/{i}"]
DEPTH = 12


def name_of(form, i):
  return tuple(form.replace("{i:02}", f"{i:02}").replace("{i}", str(i)).split("/"))


def layered(form, depth=DEPTH):
  """Layers with a kernel and a norm, every number its own."""
  rng = np.random.default_rng(depth)
  out = {}
  for i in range(depth):
    out[("params", *name_of(form, i), "dense", "kernel")] = rng.normal(size=(3, 5)).astype("float32")
    out[("params", *name_of(form, i), "norm", "scale")] = rng.normal(size=(5,)).astype("float32")
  return out


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("form", NAMES)
def test_stacked_in_numeric_order_and_back(form, axis):
  leaves = layered(form)
  plan = make_plan(leaves, None, ModelMapping((move(f"params/{form}/**", "layers/**", Stack(axis=axis)),)))
  stacked = dict(translate(plan, leaves))
  kernels = [leaves[("params", *name_of(form, i), "dense", "kernel")] for i in range(DEPTH)]
  assert np.array_equal(stacked[("layers", "dense", "kernel")], np.stack(kernels, axis))
  back = {p: np.asarray(v) for p, v in translate(plan.inverse(), stacked)}
  assert set(back) == set(leaves)
  assert all(back[p].tobytes() == leaves[p].tobytes() for p in leaves)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("form", ["layers/{i}", "block_{i}"])
def test_a_scanned_stack_becomes_a_list_and_back(form, axis):
  shapes = {"kernel": (3, 5), "scale": (5,)}
  rng = np.random.default_rng(0)
  whole = lambda s: rng.normal(size=np.insert(s, axis if axis >= 0 else len(s), DEPTH)).astype("float32")
  leaves = {("params", "layers", n): whole(s) for n, s in shapes.items()}
  plan = make_plan(leaves, None, ModelMapping((move("params/layers/**", f"{form}/**", Unstack(axis=axis)),)))
  apart = dict(translate(plan, leaves))
  for i in range(DEPTH):
    assert np.array_equal(
      apart[(*name_of(form, i), "kernel")], np.take(leaves[("params", "layers", "kernel")], i, axis)
    )
  back = dict(translate(plan.inverse(), apart))
  assert all(np.array_equal(back[p], leaves[p]) for p in leaves)


@pytest.mark.parametrize("axis", [0, -1])
def test_moments_go_the_same_way(axis):
  leaves = layered("layers_{i}")
  params = nest({p[1:]: v for p, v in leaves.items()})
  tx = optax.adam(1e-3)
  _, state = tx.update(jax.tree.map(lambda x: x * 3, params), tx.init(params), params)
  plan = make_plan(leaves, None, ModelMapping((move("params/layers_{i}/**", "layers/**", Stack(axis=axis)),)))
  source = flatten(state)
  lifted = lift(plan, source)
  moved = dict(translate(lifted, source))
  for field in ("mu", "nu"):
    each = [getattr(state[0], field)[f"layers_{i}"]["dense"]["kernel"] for i in range(DEPTH)]
    (found,) = [v for p, v in moved.items() if field in p and "kernel" in p]
    assert np.array_equal(found, np.stack(each, axis))
  back = dict(translate(lifted.inverse(), moved))
  assert all(np.array_equal(back[p], source[p]) for p in source)


class Stacked(nnx.Module):
  def __init__(self, rngs):
    self.layers = nnx.split_rngs(splits=DEPTH)(nnx.vmap(lambda r: nnx.Linear(3, 3, rngs=r)))(rngs)


def test_a_run_goes_on_in_a_live_optimizer():
  """One more step in both, with the moments of twelve layers in one array: to the bit."""
  rng = np.random.default_rng(0)
  layer = lambda: {"kernel": rng.normal(size=(3, 3)).astype("f4"), "bias": rng.normal(size=3).astype("f4")}
  params = {f"layers_{i}": layer() for i in range(DEPTH)}
  tx = optax.adam(1e-2)
  grads = jax.tree.map(lambda x: x + 1, params)
  _, state = tx.update(grads, tx.init(params), params)
  mapping = ModelMapping((move("params/layers_{i}/**", "layers/**", Stack()),))
  model = migrate.to_nnx({"params": params}, Stacked(nnx.Rngs(0)), mapping)
  optimizer = migrate.optimizer_to_nnx(state, nnx.Optimizer(model, tx, wrt=nnx.Param), mapping, step=1)
  updates, _ = tx.update(grads, state, params)
  want = optax.apply_updates(params, updates)
  stacked = jax.tree.map(lambda *xs: np.stack(xs), *(grads[f"layers_{i}"] for i in range(DEPTH)))
  gradient = jax.tree.map(lambda x: x, nnx.state(model, nnx.Param))  # Variables of its own
  gradient["layers"]["kernel"].set_value(stacked["kernel"])
  gradient["layers"]["bias"].set_value(stacked["bias"])
  optimizer.update(model, gradient)
  for i in range(DEPTH):
    assert np.array_equal(model.layers.kernel.get_value()[i], want[f"layers_{i}"]["kernel"])


GATHER = ModelMapping((move("params/layers_{i}/**", "layers/**", Stack()),))
SPREAD = ModelMapping((move("params/layers/**", "layers/{i}/**", Unstack()),))


def changed(**edits):
  """Twelve layers with `{path: array or None}` changed."""
  leaves = layered("layers_{i}")
  for text, value in edits.items():
    path = ("params", *text.split("__"))
    leaves.pop(path, None)
    if value is not None:
      leaves[path] = value
  return leaves


@pytest.mark.parametrize(
  ("leaves", "said"),
  [
    (changed(layers_7__dense__kernel=np.zeros((3, 4), "float32")), "Stack of arrays that differ"),
    (changed(layers_7__norm__scale=np.zeros(5, "float16")), "joined with leaves of another dtype"),
    (changed(layers_7__norm__scale=None), "7 have none"),
    (changed(layers_11__norm__scale=None), "11 have none"),
    (changed(layers_0__extra__kernel=np.zeros(5, "float32")), "is in 1 of 12 layers"),
    (changed(layers_7__norm__scale=None, layers_7__dense__kernel=None), "lacks 7"),
  ],
)
def test_layers_that_differ_are_refused(leaves, said):
  with pytest.raises(MigrateError, match=said):
    make_plan(leaves, None, GATHER)


def test_stacks_of_different_depth_are_refused():
  leaves = {("params", "layers", "a"): np.zeros((12, 2)), ("params", "layers", "b"): np.zeros((11, 2))}
  with pytest.raises(MigrateError, match=r"holds 11 layers, params/layers/a 12"):
    make_plan(leaves, None, SPREAD)


def test_stages_may_have_different_numbers_of_blocks():
  leaves = {("params", f"stage_{s}", f"block_{b}", "w"): np.full(2, s) for s, n in ((0, 2), (1, 3)) for b in range(n)}
  plan = make_plan(leaves, None, ModelMapping((move("params/stage_{s}/block_{b}/**", "stages/{s}/**", Stack()),)))
  assert sorted(e.targets[0].spec.shape for e in plan.entries) == [(2, 2), (3, 2)]
