"""Arguments that only construction needed."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.codemod.unread import drop_unread


def test_parameter_and_what_calls_give_for_it_go():
  texts = {
    "class": "class A:\n  def f(self, x, w):\n    return block(x, w, True, layers=n) + m.block(x, train=False, features=3, layers=n)\n",
    "block": "def block(x, features: int, train=True, momentum=0.9, *, layers):\n  return next(layers)(x, train)\n",
  }
  found = drop_unread(texts, [("function", "block")])
  assert found["block"] == "def block(x, train=True, *, layers):\n  return next(layers)(x, train)\n"
  assert "block(x, True, layers=n) + m.block(x, train=False, layers=n)" in found["class"]


def test_outer_function_loses_what_only_the_inner_one_took():
  texts = {
    "a": "class A:\n  def f(self, x):\n    return outer(x, 3, layers=n)\n",
    "o": "def outer(x, width, *, layers):\n  return inner(x, width, layers=layers)\n",
    "i": "def inner(x, width, *, layers):\n  return next(layers)(x)\n",
  }
  found = drop_unread(texts, [("function", "outer"), ("function", "inner")])
  assert found["a"].endswith("outer(x, layers=n)\n")
  assert found["o"] == "def outer(x, *, layers):\n  return inner(x, layers=layers)\n"


@pytest.mark.parametrize(
  "use",
  [
    "block(x, next(widths), layers=n)",
    "block(*args, layers=n)",
    "block(**given, layers=n)",
    "functools.partial(block, 3)",
  ],
)
def test_what_acts_or_is_not_told_apart_stays(use):
  texts = {
    "class": f"class A:\n  def f(self, x):\n    return {use}\n",
    "block": "def block(x, w, *, layers):\n  return next(layers)(x)\n",
  }
  assert drop_unread(texts, [("function", "block")]) == texts


def test_method_keeps_self_and_its_indentation():
  text = "  class A:\n    def f(self, x):\n      return self.g(x, 3, layers=n)\n\n    def g(self, x, w, *, layers):\n      return next(layers)(x)\n"
  found = drop_unread({"class": text}, [("method", "g")])["class"]
  assert "    def g(self, x, *, layers):\n" in found
  assert "self.g(x, layers=n)" in found
  assert found.startswith("  class A:\n    def f")


def test_what_is_read_stays():
  texts = {"class": "def f(x):\n  return block(x, 3)\n", "block": "def block(x, w):\n  return x * w\n"}
  assert drop_unread(texts, [("function", "block")]) == texts


@given(st.lists(st.booleans(), min_size=1, max_size=5), st.lists(st.booleans(), min_size=5, max_size=5))
def test_law_calls_fit_the_function_afterwards(read, named):
  names = [f"p{i}" for i in range(len(read))]
  first = next((i for i, n in enumerate(named[: len(read)]) if n), len(read))
  given_ = [f"{n}={i}" if i >= first else str(i) for i, n in enumerate(names)]
  body = ", ".join([n for n, r in zip(names, read, strict=True) if r] + ["0"])
  texts = {
    "call": f"found = block({', '.join(given_)})\n",
    "def": f"def block({', '.join(names)}):\n  return ({body})\n",
  }
  after = drop_unread(texts, [("function", "block")])
  scope: dict = {}
  exec(compile(ast.parse(after["def"] + after["call"]), "x", "exec"), scope)
  assert scope["found"] == eval(f"({', '.join([str(i) for i, r in enumerate(read) if r] + ['0'])})")
