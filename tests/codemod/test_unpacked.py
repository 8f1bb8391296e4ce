"""Locals that are written in full and only unpacked."""

from __future__ import annotations

import ast

import pytest

from migrate.codemod.source import Source
from migrate.codemod.unpacked import unpacked_dict, unpacked_items
from tests.codemod.support import port_and_check

CELL = """
    class Cell(nn.Module):
      kind: str = "lstm"
      width: int = 7

      @nn.compact
      def __call__(self, carry, x):
        options = dict(features=self.width, kernel_init=nn.initializers.orthogonal())
        if self.kind == "lstm":
          cell = nn.OptimizedLSTMCell(**options)
        else:
          cell = nn.GRUCell(**options)
        return cell(carry, x)

      @staticmethod
      def start(key, batch, width):
        given = (key, (*batch, width))
        return nn.OptimizedLSTMCell(width, parent=None).initialize_carry(*given)

    class Model(nn.Module):
      width: int = 7

      @nn.compact
      def __call__(self, x):
        carry = Cell.start(jax.random.key(0), x.shape[:1], self.width)
        carry, y = Cell(width=self.width)(carry, x)
        return nn.Dense(2)(y)
"""


def test_options_that_nnx_calls_otherwise_are_given_one_by_one(tmp_path):
  ported = port_and_check(tmp_path, CELL, "Model(), x(3, 5)", held_out=["Model(11), x(2, 4)"], clean=False)
  assert "hidden_features=self.width" in ported.text
  assert "options" not in ported.text
  assert ported.hoisted == []


def test_carry_of_an_unpacked_tuple_is_its_zeros(tmp_path):
  text = port_and_check(tmp_path, CELL, "Model(), x(3, 5)", clean=False).text
  assert "return (jnp.zeros((*batch, width)), jnp.zeros((*batch, width)))" in text
  assert "given = " not in text


def test_options_that_nnx_calls_the_same_stay_a_dict(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        options = dict(use_bias=False, kernel_init=nn.initializers.ones)
        return nn.Dense(4, **options)(x) + nn.Dense(4, **options)(jnp.sin(x))
  """
  text = port_and_check(tmp_path, source, "Model(), x(3, 5)").text
  assert text.count("**options") == 2
  assert "options = dict(use_bias=False, kernel_init=nnx.initializers.ones)" in text


def test_flags_of_the_call_in_a_dict_of_options_go_to_the_call(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, train: bool):
        options = {"use_running_average": not train, "momentum": 0.9}
        return nn.BatchNorm(**options)(nn.Dense(4)(x))
  """
  ported = port_and_check(tmp_path, source, "Model(), x(3, 5), train=False")
  assert "nnx.BatchNorm(4, momentum=0.9, rngs=rngs)" in ported.text
  assert "use_running_average=not train" in ported.text


@pytest.mark.parametrize(
  "between",
  ["options['features'] = 9", "width = 5", "print(options)", "options = {}"],
  ids=["changed", "rebound", "read", "assigned"],
)
def test_what_may_have_changed_is_not_taken_apart(between):
  text = f"def f(width):\n  options = dict(features=width)\n  {between}\n  return Dense(**options)\n"
  source = Source("f.py", text)
  call = next(n for n in ast.walk(source.tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "Dense")
  assert unpacked_dict(source, call.keywords[0].value) is None


def test_items_of_a_tuple_stand_where_it_is_unpacked():
  source = Source("f.py", "def f(a, b):\n  both = (a, b)\n  return g(0, *both, *c)\n")
  call = next(n for n in ast.walk(source.tree) if isinstance(n, ast.Call))
  assert [ast.unparse(n) for n in unpacked_items(source, call.args)] == ["0", "a", "b", "*c"]
