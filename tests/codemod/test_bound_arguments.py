"""Partials that a call hands to functions that make layers."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

TRAIN = "Example({model}, ({args}, False), calls=(Call(({args}, True), mutable=['batch_stats']),))"
BLOCK = """
    class Model(nn.Module):
      features: int

      def block(self, x, norm):
        x = nn.Dense(self.features)(x)
        return nn.relu(norm()(x))

      @nn.compact
      def __call__(self, x, train):
        norm = {norm}
        x = self.block(x, norm)
        return self.block(x, norm)
    """


def test_partial_without_what_calls_know(tmp_path):
  source = BLOCK.format(norm="functools.partial(nn.LayerNorm, use_bias=False)")
  ported = port_and_check(tmp_path, source, "Model(3), x(2, 6), True", held_out=["Model(4), x(2, 5), True"])
  assert "def block(self, x, *, layers):" in ported.text
  assert "norm" not in ported.text.partition("def __call__")[2]


@pytest.mark.parametrize("given", ["use_running_average=not train", "not train"])
def test_what_the_partial_leaves_is_an_argument(tmp_path, given):
  source = BLOCK.format(norm=f"functools.partial(nn.BatchNorm, {given})")
  ported = port_and_check(
    tmp_path, source, "Model(3), x(2, 6), False", held_out=[TRAIN.format(model="Model(4)", args="x(2, 5)")]
  )
  text = ported.text
  assert "def block(self, x, *, use_running_average, layers):" in text
  assert "x = self.block(x, use_running_average=not train, layers=block_layers)" in text
  assert "norm" not in text.partition("def __call__")[2]  # nothing reads it any more


def test_functions_that_hand_it_on(tmp_path):
  source = """
    def inner(x, features, norm, drop):
      return drop()(nn.relu(norm()(nn.Dense(features)(x))))

    def outer(x, features, norm, drop):
      x = inner(x, features, norm, drop)
      return inner(x, features, norm, drop)

    class Model(nn.Module):
      features: int

      @nn.compact
      def __call__(self, x, train, frozen=False):
        norm = functools.partial(nn.BatchNorm, use_running_average=frozen or not train)
        drop = functools.partial(nn.Dropout, 0.5, deterministic=not train)
        for i in range(2):
          x = outer(x, self.features * 2**i, norm, drop)
        return x
    """
  ported = port_and_check(
    tmp_path, source, "Model(3), x(2, 6), False", held_out=["Model(4), x(2, 5), False, frozen=True"]
  )
  text = ported.text
  assert "def outer(x, *, use_running_average, deterministic, layers):" in text
  assert "use_running_average=frozen or not train" in text
  assert "x_features = self.features * 2**i\n" in text


def test_partial_or_none(tmp_path):
  source = """
    class Model(nn.Module):
      features: int
      normalize: bool

      def block(self, x, norm=None):
        x = nn.Dense(self.features)(x)
        if norm is not None:
          x = norm()(x)
        return nn.relu(x)

      @nn.compact
      def __call__(self, x, train):
        norm = functools.partial(nn.BatchNorm, use_running_average=not train) if self.normalize else None
        x = self.block(x, norm)
        return self.block(x, norm)
    """
  examples = ["Model(3, True), x(2, 6), False", "Model(3, False), x(2, 6), True"]
  held_out = [TRAIN.format(model="Model(4, True)", args="x(2, 5)")]
  ported = port_and_check(tmp_path, source, *examples, held_out=held_out)
  assert "norm = nnx.BatchNorm if self.normalize else None\n" in ported.text.partition("def __call__")[2]


def test_two_partials_of_one_field(tmp_path):
  source = """
    class Model(nn.Module):
      features: int

      def block(self, x, first, second):
        x = first()(nn.Dense(self.features)(x))
        return second()(nn.Dense(self.features)(x))

      @nn.compact
      def __call__(self, x, train, frozen):
        first = functools.partial(nn.BatchNorm, use_running_average=not train)
        second = functools.partial(nn.BatchNorm, use_running_average=frozen)
        x = self.block(x, first, second)
        return self.block(x, first, second)
    """
  ported = port_and_check(
    tmp_path,
    source,
    "Model(3), x(2, 6), False, True",
    held_out=[
      "Example(Model(3), (x(2, 6), False, True), calls=(Call((x(2, 6), True, True), mutable=['batch_stats']),))"
    ],
  )
  assert "first_use_running_average=not train, second_use_running_average=frozen" in " ".join(ported.text.split())


def test_name_that_the_function_has(tmp_path):
  source = BLOCK.format(norm="functools.partial(nn.BatchNorm, use_running_average=not train)").replace(
    "nn.relu(norm()(x))", "nn.relu(norm()(x)) * use_running_average"
  )
  source = source.replace("(self, x, norm):", "(self, x, norm, use_running_average=2):")
  ported = port_and_check(
    tmp_path,
    source,
    "Model(3), x(2, 6), False",
    held_out=[TRAIN.format(model="Model(3)", args="x(2, 6)")],
  )
  assert "def block(self, x, use_running_average=2, *, norm_use_running_average, layers):" in ported.text


def test_partials_that_leave_different_things_are_refused(tmp_path):
  source = BLOCK.format(norm="functools.partial(nn.BatchNorm, use_running_average=not train)").replace(
    "return self.block(x, norm)", "return self.block(x, functools.partial(nn.LayerNorm))"
  )
  ported = rewrite(tmp_path, source, "Model(3), x(2, 6), False")
  assert any("leave different arguments" in str(f) for f in ported.findings)
  assert ported.rewriting.left == ["model.Model"]


def test_names_of_the_function_and_of_the_call_stay_apart(tmp_path):
  source = BLOCK.format(norm="functools.partial(nn.BatchNorm, use_running_average=train)")
  source = source.replace("x = nn.Dense(self.features)(x)", "train = nn.Dense(self.features)(x)")
  source = source.replace("norm()(x)", "norm()(train)")
  port_and_check(tmp_path, source, "Model(3), x(2, 6), True", held_out=["Model(4), x(2, 5), True"])
