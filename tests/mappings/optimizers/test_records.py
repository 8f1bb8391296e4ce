"""Every public state of Optax has a record that accounts for each field, and says what the update depends on."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from migrate.core.per_tensor import changed_by_axes, changed_by_joining, functions_of
from migrate.core.registry import load_optimizers
from tests.mappings.optimizers import cases

ALSO = {"GradientTransformation", "GradientTransformationExtraArgs", "GaLoreDimensionNumbers", "MuonDimensionNumbers"}


def full_name(cls):
  for module in (optax, optax.contrib):
    if vars(module).get(cls.__name__) is cls:
      return f"{module.__name__}.{cls.__name__}"
  return f"{cls.__module__}.{cls.__qualname__}"


def public_states():
  for module in (optax, optax.contrib):
    for name, cls in vars(module).items():
      if inspect.isclass(cls) and issubclass(cls, tuple) and hasattr(cls, "_fields") and name not in ALSO:
        yield cls


def states_in(tree):
  if isinstance(tree, tuple) and hasattr(tree, "_fields"):
    yield tree
  inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (tuple, list)) else ()
  for one in inside:
    yield from states_in(one)


PARAMS = {"a": {"kernel": jnp.ones((8, 6)), "bias": jnp.ones(6)}, "b": {"kernel": jnp.ones((6, 6))}}


def test_every_public_state_has_a_record():
  assert {full_name(cls) for cls in public_states()} - set(load_optimizers()) == set()


@pytest.mark.parametrize("name", cases.NAMES)
def test_every_field_has_one_fate(name):
  state = cases.make(name).init(PARAMS)
  for one in states_in(state):
    record = load_optimizers()[full_name(type(one))]
    fates = [*record.like_params, *record.scalars, *record.inner]
    assert sorted(fates) == sorted(one._fields)
    for field in record.scalars:
      assert len(jax.tree.leaves(getattr(one, field))) == 1


def test_what_there_is_no_case_for_is_said():
  assert all(cases.WITHOUT.values())


def updates_of(name, tree, grads):
  tx = optax.with_extra_args_support(cases.make(name))
  state, extra = tx.init(tree), {"value": jnp.float32(0.7)}
  if name in ("lbfgs", "scale_by_zoom_linesearch", "scale_by_backtracking_linesearch"):
    extra |= {"grad": grads, "value_fn": cases.loss}
  if name == "sam":
    extra = {}

  @jax.jit
  def step(grads, state, tree):
    return tx.update(grads, state, tree, **extra)

  for factor in (1.0, 0.7):
    updates, state = step(jax.tree.map(lambda g, f=factor: g * f, grads), state, tree)
  return updates


# Global sums run over other shapes; what is a bisection or a quotient of such sums magnifies that.
UNDECIDED = {
  "sophia",
  "hutchinson_estimator_diag_hessian",
  "noisy_sgd",
  "add_noise",
  "dpsgd",
  "differentially_private_aggregate",
  "flatten",
}


def representatives():
  """Enough transformations that every function that makes one is in some of them."""
  seen, names = set(), []
  for name in sorted(set(cases.NAMES) - UNDECIDED, key=lambda n: (not n.startswith("scale_by"), n)):
    functions = functions_of(cases.make(name))
    if functions - seen:
      names.append(name)
      seen |= functions
  return names


@pytest.mark.parametrize(
  "name", sorted({*representatives(), "lamb", "lars", "fromage", "adafactor", "novograd", "galore"})
)
def test_joining_two_kernels_changes_the_update_exactly_where_the_records_say(name):
  rng = np.random.default_rng(0)
  kernels, grads = (
    {k: jnp.asarray(rng.normal(size=(6, 4)) * scale, jnp.float32) for k, scale in (("a", 1.0), ("b", 5.0))}
    for _ in range(2)
  )
  apart = updates_of(name, kernels, grads)
  distance = 0.0
  for axis in (0, 1):
    joined = updates_of(name, *({"ab": jnp.concatenate([t["a"], t["b"]], axis)} for t in (kernels, grads)))["ab"]
    split = jnp.concatenate([apart["a"], apart["b"]], axis)
    distance = max(distance, float(jnp.max(jnp.abs(split - joined)) / (jnp.max(jnp.abs(split)) + 1e-30)))
  assert bool(changed_by_joining(cases.make(name))) == (distance > 1e-3), distance


# masks and labels of these cases ask for the number of axes, which is the test's own doing
BY_RANK = {"freeze", "masked", "multi_transform", "partition", "selective_transform", "scale_by_muon"}


@pytest.mark.parametrize(
  "name",
  sorted({*representatives(), "lamb", "lars", "fromage", "adafactor", "novograd", "galore", "muon", "sm3"} - BY_RANK),
)
def test_turning_a_kernel_changes_the_update_exactly_where_the_records_say(name):
  rng = np.random.default_rng(0)
  kernel, grad = (jnp.asarray(rng.normal(size=(6, 4)), jnp.float32) for _ in range(2))
  alone = updates_of(name, {"a": kernel}, {"a": grad})["a"]
  distance = 0.0
  for shape in ((4, 6), (3, 8), (24,), (6, 2, 2)):
    turned = [x.T if shape == (4, 6) else x.reshape(shape) for x in (kernel, grad)]
    update = updates_of(name, *({"a": x} for x in turned))["a"]
    back = update.T if shape == (4, 6) else update.reshape(6, 4)
    distance = max(distance, float(jnp.max(jnp.abs(alone - back)) / (jnp.max(jnp.abs(alone)) + 1e-30)))
  assert bool(changed_by_axes(cases.make(name))) == (distance > 1e-3), distance
