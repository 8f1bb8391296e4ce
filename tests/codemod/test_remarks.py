"""Comments between the arguments of calls."""

from __future__ import annotations

import ast

from migrate.codemod.remarks import Remark, layout_call, remarks_of
from migrate.codemod.source import Source
from tests.codemod.support import port_and_check


def read(text: str) -> tuple[list[Remark], list[str]]:
  source = Source("", text)
  call = next(n for n in ast.walk(source.tree) if isinstance(n, ast.Call))
  found, last = remarks_of(source, call)
  return list(found.values()), last


def test_comments_belong_to_the_argument_beside_them():
  text = "f(  # opening\n  1,  # one\n  # above two\n  b=2  # two\n  # after all\n)\n"
  assert read(text) == ([Remark(["# opening"], "# one"), Remark(["# above two"], "# two")], ["# after all"])


def test_hash_in_a_string_is_no_comment():
  assert read("f('#', '# no')\n") == ([Remark(), Remark()], [])


def test_call_that_fits_is_one_line():
  assert layout_call("f", ["a", "b=1"], "  ") == "f(a, b=1)"
  assert layout_call("f", [], "  ", 1) == "f()"


def test_long_call_takes_a_line_for_each_argument():
  assert layout_call("f", ["a", "b=1"], "  ", 5) == "f(\n      a,\n      b=1,\n  )"


def test_comments_make_lines():
  found = layout_call("f", ["a", "b=1"], "", 100, [Remark(["# above"], "# beside"), None], ["# last"])
  assert found == "f(\n    # above\n    a,  # beside\n    b=1,\n    # last\n)"


def test_call_inside_a_long_call_is_indented():
  inner = layout_call("g", ["x"], "", 0)
  assert layout_call("f", [inner], "", 0) == "f(\n    g(\n        x,\n    ),\n)"


def test_every_comment_of_a_layer_survives_those_of_dropped_arguments_too(tmp_path):
  source = """
    class Block(nn.Module):
      width: int
      scale: float = 1.0

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(x) * self.scale


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, train=False):
        x = Block(
            # how wide
            7,
            scale=0.5,  # as in the paper
            name="first",  # its old name
        )(x)
        x = nn.Sequential([
            nn.Dense(5, use_bias=False),  # no bias: a norm follows
            nn.LayerNorm(
                epsilon=1e-3,  # wide
            ),
        ])(x)
        return nn.Dropout(
            0.1,
            deterministic=not train,  # only while training
        )(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=["Model(), x(2, 3)"])
  for comment in (
    "how wide",
    "as in the paper",
    "its old name",
    "no bias: a norm follows",
    "wide",
    "only while training",
  ):
    assert f"# {comment}" in ported.text
