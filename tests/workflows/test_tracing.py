"""`migrate.trace`: an example by value, by function, by name."""

from __future__ import annotations

import subprocess
import sys

import pytest
from flax import linen as nn

from migrate.core.report import MigrateError
from migrate.example import Example
from migrate.workflows.tracing import trace
from tests.codemod.support import x


class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.Dense(3)(x)


def example():
  return Example(Model(), (x(2, 5),))


@pytest.mark.parametrize("given", [example(), example, f"{__file__}:example"], ids=["value", "function", "name"])
def test_every_way_to_name_an_example(given):
  facts = trace(given)
  assert facts.name == "example"
  assert facts.variables["params"]["Dense_0"]["kernel"].shape == (5, 3)
  assert [c.__name__ for c in facts.classes] == ["Model"]


def test_packages_that_are_not_included_are_not_recorded():
  assert trace(example, include=["json"]).classes == []


def test_name_without_a_function_is_refused():
  with pytest.raises(MigrateError, match="no function"):
    trace(f"{__file__}:no_such")


@pytest.mark.xfail(strict=True, reason="the package `migrate.trace` hides the function once it is imported")
def test_public_name_survives_the_import_of_the_package():
  code = "import migrate, migrate.trace.run; assert callable(migrate.trace)"
  subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
