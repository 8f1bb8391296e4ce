"""`migrate.trace` by value, by function and by name."""

import jax.numpy as jnp
import pytest
from flax import linen as nn

import migrate
from migrate.core.report import MigrateError


class Net(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.Dense(3)(x)


def example():
  return migrate.Example(Net(), (jnp.ones((2, 5)),))


@pytest.mark.parametrize("given", [example(), example], ids=["value", "function"])
def test_example_is_traced(given):
  facts = migrate.trace(given)
  assert facts.variables["params"]["Dense_0"]["kernel"].shape == (5, 3)
  assert Net in facts.classes


def test_function_names_the_facts():
  assert migrate.trace(example).name == "example"


def test_unknown_module_is_refused():
  with pytest.raises(MigrateError, match="no module"):
    migrate.trace("no_such_module_anywhere:example")
