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


DIVISIBLE = """
    def _make_divisible(v, divisor=4):
      return max(divisor, int(v + divisor / 2) // divisor * divisor)

    class Block(nn.Module):
      out: int
      width: float = 1.0

      @nn.compact
      def __call__(self, x):
        hidden = _make_divisible(x.shape[-1] * 2.5)
        x = nn.LayerNorm()(nn.Dense(hidden)(x))
        features = _make_divisible(self.out * self.width)
        return nn.LayerNorm()(nn.Dense(features)(x))
    """


def test_widths_that_a_function_of_the_file_computes(tmp_path):
  source = (
    DIVISIBLE
    + """
    class Model(nn.Module):
      widths: Sequence[int] = (5, 9)
      width: float = 1.5

      @nn.compact
      def __call__(self, x):
        x = nn.LayerNorm()(nn.Dense(_make_divisible(7 * self.width))(x))
        for i, width in enumerate(self.widths):
          x = Block(width, self.width, name=f"block_{i}")(x)
        x = nn.Dense(_make_divisible(30 * self.width) // 2)(x)
        return nn.Dense(3)(nn.LayerNorm()(x))
    """
  )
  held_out = ["Model((3, 6, 11), 0.5), x(2, 5)"]
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=held_out)
  assert ported.hoisted == []
  assert "self.layer_norm = nnx.LayerNorm(_make_divisible(7 * self.width), rngs=rngs)" in ported.text
  assert "x_features = _make_divisible(width * self.width)" in ported.text


def test_a_local_of_the_name_is_no_function_of_the_file(tmp_path):
  source = (
    DIVISIBLE
    + """
    class Model(nn.Module):
      scale: int = 3

      @nn.compact
      def __call__(self, x):
        _make_divisible = lambda v: v * self.scale
        x = nn.Dense(_make_divisible(5))(x)
        return nn.LayerNorm()(Block(8)(x))
    """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=["Model(2), x(2, 5)"])
  assert "LayerNorm(_make_divisible(8 * 1.0)" not in ported.text


def test_a_field_or_what_stands_for_it_is_decided_by_the_modules():
  given, none = types.SimpleNamespace(out=8), types.SimpleNamespace(out=None)
  assert branch_of("self.out or in_features", [given, given]) == "self.out"
  assert branch_of("self.out or in_features", [none]) == "in_features"
  assert branch_of("self.out or in_features", [given, none]) == "self.out or in_features"
  assert branch_of("width or in_features", [given]) == "width or in_features"


def test_a_layer_that_is_made_before_its_width_has_a_name(tmp_path):
  source = """
  class Block(nn.Module):
    rate: int

    @nn.compact
    def __call__(self, x):
      first = nn.LayerNorm()
      second = nn.LayerNorm()
      third = nn.LayerNorm(name="wide")
      features = x.shape[-1]
      width = features + self.rate
      x = nn.Dense(width)(first(x))
      y = nn.Dense(2 * width)(second(x))
      return x + nn.Dense(width)(third(y))

  class Model(nn.Module):
    rate: int = 2

    @nn.compact
    def __call__(self, x):
      return Block(self.rate)(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(5), x(2, 4)"])
  assert ported.hoisted == []
  assert "nnx.LayerNorm(in_features + self.rate, " in ported.text
  assert "nnx.LayerNorm(2 * (in_features + self.rate), " in ported.text


def test_a_width_that_is_not_one_expression_is_an_argument(tmp_path):
  source = """
  class Model(nn.Module):
    width: int = 5
    double: bool = True

    @nn.compact
    def __call__(self, x):
      norm = nn.LayerNorm()
      width = self.width
      if self.double:
        width = 2 * width + 1
      return norm(nn.Dense(width)(x))
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert len(ported.hoisted) == 1


BLOCK = """
class Block(nn.Module):
  width: int | None = None

  @nn.compact
  def __call__(self, x):
    norm = nn.LayerNorm()
    inputs = x.shape[-1]
    width = {width}
    x = norm(nn.Dense(width)(x))
    return x

class Model(nn.Module):
  widths: Sequence[int | None] = (6, 9)

  @nn.compact
  def __call__(self, x):
    for width in self.widths:
      x = Block(width)(x)
    return nn.Dense(2)(x)
"""


def test_functions_of_python_over_sizes_are_written_out(tmp_path):
  source = BLOCK.format(width="max(self.width, inputs)")
  ported = port_and_check(
    tmp_path, source, "Model(), x(2, 5)", held_out=["Model((4, 6)), x(2, 5)", "Model((8, 3)), x(2, 7)"]
  )
  assert ported.hoisted == []
  assert "self.norm = nnx.LayerNorm(max(self.width, in_features)" in ported.text
  assert "x_features = max(width, x_features)" in ported.text


def test_a_field_that_may_be_none_is_not_the_size_of_a_layer_made_before(tmp_path):
  source = (
    BLOCK.format(width="inputs if self.width is None else self.width")
    + """
class Single(nn.Module):
  width: int | None = None

  @nn.compact
  def __call__(self, x):
    return nn.Dense(2)(Block(self.width)(x))
"""
  )
  ported = port_and_check(tmp_path, source, "Single(6), x(2, 5)", held_out=["Single(None), x(2, 5)"])
  assert "self.norm = nnx.LayerNorm(in_features if self.width is None else self.width" in ported.text
  assert "self.dense = nnx.Linear(in_features if self.width is None else self.width, 2" in ported.text
