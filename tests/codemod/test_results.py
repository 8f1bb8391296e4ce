"""What the rest of the project learns of a rewritten class."""

from __future__ import annotations

import pytest

from tests.codemod.support import rewrite

SOURCE = """
class Block(nn.Module):
  features: int

  @nn.compact
  def __call__(self, x):
    x = nn.Dense(self.features)(x)
    return x * self.param("scale", nn.initializers.ones, (self.features,))

class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    return Block(7)(x)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
  ported = rewrite(tmp_path_factory.mktemp("results"), SOURCE, "Model(), x(2, 5)")
  return {r.info.name: r for r in ported.rewriting.results.values()}


def test_arguments_for_sizes_with_their_values(results):
  (size,) = results["Block"].sizes
  assert (size.name, size.parameter, size.axis, size.method) == ("in_features", "x", 1, "__call__")
  assert set(size.values.values()) == {5}


def test_axes_of_what_is_returned(results):
  assert "self.features" in results["Block"].outputs["__call__"][-1]


def test_variables_and_their_names(results):
  (variable,) = results["Block"].variables
  assert (variable.attr, variable.collection) == ("scale", "params")
  assert results["Model"].variables == []


def test_nothing_is_hoisted_where_data_flows(results):
  assert [r.hoisted for r in results.values()] == [[], []]


def test_imports_that_the_text_needs(results):
  assert "from flax import nnx" in results["Block"].imports
