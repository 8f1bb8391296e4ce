"""Statements of a method that only construction needed."""

from __future__ import annotations

import ast
import textwrap

import pytest

from migrate.codemod.dead import drop_dead
from tests.codemod.support import port_and_check


def after(body: str, static: set[str], original: str = "") -> str:
  text = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"
  method = ast.parse("def f(self):\n" + textwrap.indent(textwrap.dedent(original or body).strip("\n"), "  ")).body[0]
  assert isinstance(method, ast.FunctionDef)
  return textwrap.dedent(drop_dead(text, static, method)).strip("\n")


def test_counter_goes_with_its_increments():
  body = """
    n = 0
    for layer in self.layers:
      x = layer(x)
      n += 1
    return x
    """
  assert after(body, {"n"}, body + "\n    print(n)") == "for layer in self.layers:\n  x = layer(x)\nreturn x"


def test_own_counter_that_nothing_ever_read_stays():
  body = """
    n = 0
    n += 1
    return x
    """
  assert after(body, {"n"}) == textwrap.dedent(body).strip("\n")


def test_counter_that_is_read_stays():
  body = """
    n = 0
    for layer in self.layers:
      n += 1
    return x * n
    """
  assert after(body, {"n"}) == textwrap.dedent(body).strip("\n")


def test_condition_without_a_body_goes():
  body = """
    if self.block is None:
      block = Block
    else:
      block = self.block
    return self.body(x)
    """
  assert after(body, {"block"}, body + "\n    block(x)") == "return self.body(x)"


def test_last_branches_without_a_body_go():
  body = """
    if a:
      x = f(x)
    elif b:
      size = 1
    else:
      size = 2
    return x
    """
  assert after(body, {"size"}, body + "\n    print(size)") == "if a:\n  x = f(x)\nreturn x"


@pytest.mark.parametrize("remark", ["  # nothing to do\n", ""])
def test_own_pass_stays(remark):
  body = f"if a:\n  pass\n{remark}else:\n  pass\nreturn x\n"
  assert after(body, set()) == body.strip("\n")


@pytest.mark.parametrize(
  ("made", "left"),
  [
    ("copy.copy(config)", ""),
    ("dict(a=1)", ""),
    ("config", "c = config\nc.stride = 1\n"),
    ("f(x)", "c = f(x)\nc.stride = 1\n"),
  ],
)
def test_changes_of_an_own_copy_go(made, left):
  body = f"c = {made}\nc.stride = 1\nreturn x\n"
  assert after(body, {"c"}, body + "print(c)") == left + "return x"


def test_copy_of_a_config_changed_from_block_to_block(tmp_path):
  source = """
    import copy

    class Stage:
      def __init__(self, features, stride, repeats):
        self.features, self.stride, self.repeats = features, stride, repeats

    class Block(nn.Module):
      stage: Stage
      drop: float

      @nn.compact
      def __call__(self, x):
        return nn.Conv(self.stage.features, (3,), strides=(self.stage.stride,))(x) * (1 - self.drop)

    class Model(nn.Module):
      widths: tuple = (5, 7)

      @nn.compact
      def __call__(self, x):
        count = 0
        for width in self.widths:
          stage = Stage(width, 2, 2)
          for i in range(stage.repeats):
            mine = copy.copy(stage)
            if i > 0:
              mine.stride = 1
            x = Block(mine, drop=0.1 * count)(x)
            count += 1
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 16, 3)", held_out=["Model((4, 6, 9)), x(2, 16, 5)"])
  method = ported.text[ported.text.rindex("def __call__") :]
  assert "count" not in method
  assert "mine" not in method


def test_numbers_that_go_together_go_together():
  assert after("a, b = 3, 2\nreturn x", {"a", "b"}, "a, b = 3, 2\nprint(a, b)\nreturn x") == "return x"
  kept = "a, b = 3, 2\nreturn a"
  assert after(kept, {"a", "b"}) == kept


def test_what_only_names_other_values_goes_with_its_last_reader():
  assert after("both = (a, *b)\nreturn a", set(), "both = (a, *b)\nreturn f(*both)") == "return a"
  kept = "both = f(a)\nreturn a"
  assert after(kept, set(), "both = f(a)\nreturn both") == kept


def test_options_that_only_construction_reads_and_changes(tmp_path):
  source = """
    class Block(nn.Module):
      width: int
      bias: bool = True

      @nn.compact
      def __call__(self, x):
        return nn.relu(nn.Dense(self.width, use_bias=self.bias)(x))


    class Model(nn.Module):
      widths: Sequence[int] = (7, 5)

      @nn.compact
      def __call__(self, x):
        options = dict(width=3, bias=False)
        for i, width in enumerate(self.widths):
          if i:
            options.update({"width": options["width"] + width})
          x = Block(**options)(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model((2, 11, 3)), x(3, 4)"])
  assert "options" not in ported.text.partition("def __call__(self, x):")[2].partition("def __call__(self, x):")[2]


def test_assignment_behind_a_colon_goes_with_its_condition():
  body = """
    if a: n = 1
    else: n = 2
    if b: pass
    return x
    """
  assert after(body, {"n"}, body + "\n    print(n)") == "if b: pass\nreturn x"
  read = """
    if a: n = 1
    else: n = 2
    return n
    """
  assert after(read, {"n"}) == textwrap.dedent(read).strip("\n")


def test_a_default_that_only_its_own_condition_reads_goes():
  body = """
    size = self.size
    if size is None:
      size = 3
    elif size > 5:
      size = 5
    return x
    """
  assert after(body, {"size"}, body + "\n    print(size)") == "return x"


def test_a_default_that_something_else_reads_stays():
  body = """
    size = self.size
    if size is None:
      size = 3
      x = x + 1
    return x
    """
  assert after(body, {"size"}, body + "\n    print(size)") == textwrap.dedent(body).strip("\n")
  body = body.replace("      x = x + 1\n", "").replace("return x", "return x * size")
  assert after(body, {"size"}) == textwrap.dedent(body).strip("\n")
