import optax
import pytest
from flax import nnx

from migrate.core.per_tensor import (
  changed_by_axes,
  changed_by_joining,
  changed_by_order,
  functions_of,
  transformation_of,
)


def test_wrapped_transformations_are_found():
  inside = optax.multi_transform({"a": optax.apply_if_finite(optax.lamb(0.1), 2)}, lambda params: "a")
  assert "scale_by_trust_ratio" in functions_of(optax.chain(optax.clip(1.0), inside))
  assert changed_by_joining(optax.MultiSteps(optax.lars(0.1), 2).gradient_transformation())
  assert changed_by_joining(optax.inject_hyperparams(optax.lars)(learning_rate=0.1))


@pytest.mark.parametrize("make", [optax.adamw, optax.sgd, optax.lion, optax.rmsprop])
def test_what_works_number_by_number(make):
  assert not changed_by_joining(make(0.1))
  assert not changed_by_order(make(0.1))


def test_what_draws_in_the_order_of_the_parameters():
  assert changed_by_order(optax.noisy_sgd(0.1, key=0)) == ("add_noise",)
  assert "flatten" in changed_by_order(optax.flatten(optax.adam(0.1)))


def test_anything_may_be_asked():
  assert functions_of(None) == frozenset()
  assert functions_of((1, "a", {"b": [print]})) == {"print"}


def test_axes_matter_to_some_of_what_looks_at_tensors():
  assert changed_by_axes(optax.adaptive_grad_clip(0.1)) == ("adaptive_grad_clip",)
  assert not changed_by_axes(optax.lamb(0.1))


def test_transformation_of_an_optimizer_or_of_itself():
  tx = optax.adam(0.1)
  model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
  assert transformation_of(nnx.Optimizer(model, tx, wrt=nnx.Param)) is tx
  assert transformation_of(tx) is tx
  assert transformation_of(None) is None
  assert transformation_of(nnx.state(model)) is None
