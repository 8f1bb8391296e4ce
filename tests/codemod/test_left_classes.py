"""Classes that no example runs: told, and left Linen where reading alone is not enough."""

from __future__ import annotations

import pytest

from migrate.codemod import recursion
from migrate.codemod.classes import rewrite_class
from tests.codemod.support import port_and_check
from tests.codemod.support import rewrite as rewritten

MODEL = """
  class Odd(nn.Module):
    def setup(self):
      self.scale = self.get_variable("params", "other")

    def __call__(self, x):
      return x * self.scale


  class Plain(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(x.shape[-1])(x)


  class Net(nn.Module):
    odd: bool = False
    plain: bool = False

    @nn.compact
    def __call__(self, x):
      x = nn.Dense(4)(x)
      if self.odd:
        x = Odd()(x)
      if self.plain:
        x = Plain()(x)
      return x
  """


def test_a_class_that_stays_linen_is_told_where_it_is_made(tmp_path):
  ported = port_and_check(tmp_path, MODEL, "Net(), x(2, 5)", clean=False)
  told = [f for f in ported.rewriting.findings if f.rule == "L2N103"]
  assert len(told) == 1
  assert "Odd, which no example runs, stays a class of Linen" in told[0].found
  assert "# TODO(linen2nnx): left as it was: Odd" in ported.rewriting.sources[ported.module]
  assert "self.plain_1 = Plain(4, rngs=rngs)" in ported.rewriting.sources[ported.module]


def test_classes_that_were_rewritten_by_reading_are_listed_once(tmp_path):
  model = MODEL.replace('self.get_variable("params", "other")', "2.0")
  ported = port_and_check(tmp_path, model, "Net(), x(2, 5)", held_out=["Net(odd=True, plain=True), x(3, 5)"])
  listed = [f for f in ported.rewriting.findings if f.rule == "L2N122"]
  assert len(listed) == 1
  assert listed[0].severity == "note"
  assert "Odd" in listed[0].found
  assert "Plain" in listed[0].found


def test_nothing_is_told_where_every_class_ran(tmp_path):
  model = MODEL.replace('self.get_variable("params", "other")', "2.0")
  ported = port_and_check(tmp_path, model, "Net(odd=True, plain=True), x(2, 5)")
  assert not [f for f in ported.rewriting.findings if f.rule in ("L2N103", "L2N122")]


STEM = """
  class Net(nn.Module):
    stem: Callable | None = None
    scale: Callable | None = None

    @nn.compact
    def __call__(self, x):
      if self.stem is not None:
        x = self.stem(name="stem")(x)
      if self.scale is not None:
        x = self.scale(x)
      return nn.Dense(3)(x)
  """


def test_a_field_that_is_called_as_a_class_of_layers_is_told(tmp_path):
  ported = port_and_check(tmp_path, STEM, "Net(), x(2, 5)", clean=False)
  told = [f.found for f in ported.rewriting.findings if f.rule == "L2N103"]
  assert len(told) == 1
  assert "`self.stem`, which no example gives, may make a layer" in told[0]


def test_a_crash_over_a_class_that_no_example_runs_ends_no_port(tmp_path, monkeypatch):
  def rewrite(unit):
    if unit.info.name == "Plain":
      raise KeyError("something")
    return rewrite_class(unit)

  monkeypatch.setattr(recursion, "rewrite_class", rewrite)
  ported = port_and_check(tmp_path, MODEL, "Net(), x(2, 5)", clean=False)
  told = [f.found for f in ported.rewriting.findings if f.rule == "L2N103"]
  assert any("Plain, which no example runs, stays a class of Linen" in t for t in told)


def test_a_crash_over_a_class_that_an_example_runs_is_ours(tmp_path, monkeypatch):
  def rewrite(unit):
    raise KeyError("something")

  monkeypatch.setattr(recursion, "rewrite_class", rewrite)
  with pytest.raises(KeyError):
    port_and_check(tmp_path, MODEL, "Net(), x(2, 5)")


def test_a_class_whose_init_would_read_a_name_that_nothing_binds_stays_linen(tmp_path, monkeypatch):
  def rewrite(unit):
    result = rewrite_class(unit)
    if unit.info.name == "Plain":
      result.text = result.text.replace("nnx.Linear(", "nnx.Linear(lost + ")
    return result

  monkeypatch.setattr(recursion, "rewrite_class", rewrite)
  ported = port_and_check(tmp_path, MODEL, "Net(), x(2, 5)", clean=False)
  told = [f.found for f in ported.rewriting.findings if f.rule == "L2N103"]
  assert any("Plain, which no example runs, stays a class of Linen (`lost` is known only in a call)" in t for t in told)


def test_a_branch_that_no_example_takes_and_reads_a_name_that_nothing_binds_is_told(tmp_path, monkeypatch):
  def rewrite(unit):
    result = rewrite_class(unit)
    result.text = result.text.replace("self.twice = twice\n", "self.twice = twice\n    twice and print(lost)\n")
    return result

  source = """
  class Net(nn.Module):
    twice: bool = False

    @nn.compact
    def __call__(self, x):
      return nn.Dense(3)(x) * (2 if self.twice else 1)
  """
  monkeypatch.setattr(recursion, "rewrite_class", rewrite)
  ported = rewritten(tmp_path, source, "Net(), x(2, 5)")
  told = [f for f in ported.findings if f.rule == "L2N103"]
  assert ["`lost`, which nothing there gives a value" in f.found for f in told] == [True]
  assert told[0].severity == "eye"


def test_a_field_that_examples_give_a_function_makes_no_layer(tmp_path):
  source = """
  def scaled(factor):
    return lambda x: x * factor


  class Net(nn.Module):
    scale: Callable = scaled
    twice: bool = False

    @nn.compact
    def __call__(self, x):
      if self.twice:
        x = self.scale(2.0)(x)
      return nn.Dense(3)(x)
  """
  ported = port_and_check(tmp_path, source, "Net(), x(2, 5)", held_out=["Net(twice=True), x(3, 5)"])
  assert not [f for f in ported.rewriting.findings if f.rule == "L2N103"]
