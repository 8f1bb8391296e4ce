"""Sizes that a class returns, in terms of what it is made with."""

from __future__ import annotations

import types

import pytest

from migrate.codemod.closed_sizes import branch_of
from tests.codemod.support import port_and_check

UNITS = """
class Unit(nn.Module):
  width: int
  bottleneck: bool = True
  out: int | None = None

  @nn.compact
  def __call__(self, x):
    width = self.width * 4 if self.bottleneck else self.width
    last = width if self.out is None else self.out
    x = nn.Dense(width)(x)
    return nn.Dense(last)(x)

class Model(nn.Module):
  bottleneck: bool = True
  width: int = 3

  @nn.compact
  def __call__(self, x):
    for i in range(3):
      x = {make}(x)
    return nn.Dense(2)(x)
"""


@pytest.mark.parametrize(
  ("make", "wanted"),
  [
    ("Unit(self.width, self.bottleneck)", "x_features = self.width * 4 if self.bottleneck else self.width"),
    ("Unit(self.width, self.bottleneck, out=self.width)", "x_features = self.width\n"),
  ],
)
def test_local_of_the_class_that_is_made_tells_the_size_of_the_next(tmp_path, make, wanted):
  ported = port_and_check(
    tmp_path, UNITS.format(make=make), "Model(), x(2, 5)", held_out=["Model(False), x(2, 6)", "Model(True, 4), x(2, 7)"]
  )
  assert ported.hoisted == []
  assert wanted in ported.text


def test_branch_that_all_modules_take():
  given, left = types.SimpleNamespace(out=3), types.SimpleNamespace(out=None)
  text = "in_features if self.out is None else self.out"
  assert branch_of(text, [given, given]) == "self.out"
  assert branch_of(text, [left]) == "in_features"
  assert branch_of(text, [given, left]) == text
  assert branch_of("self.out if self.out is not None else 2 * in_features", [left]) == "2 * in_features"
  assert branch_of("a if self.flag else b", [given]) == "a if self.flag else b"
