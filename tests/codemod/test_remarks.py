"""Comments between the arguments of calls."""

from __future__ import annotations

import ast

from migrate.codemod.remarks import Remark, layout_call, remarks_of, star_rows
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


def test_every_comment_of_a_class_survives(tmp_path):
  source = """
    class Model(nn.Module):
      # c0 above a field
      width: int = 7  # c1 beside it
      # c2 above the call

      @nn.compact
      def __call__(self, x):  # c3 on the def
        w = self.param(
          "w",  # c4 name
          nn.initializers.ones,  # c5 init
          (x.shape[-1],),  # c6 shape
        )  # c7 end
        dense = functools.partial(
          nn.Dense,  # c8 layer
          # c9 above
          use_bias=False,  # c10 beside
        )
        x = dense(
          self.width,  # c11 width
        )(
          x * w  # c12 argument
        )
        y = nn.Sequential([
          # c13 in a list
          nn.Dense(5),  # c14 first
          nn.Dense(self.width),
          # c15 end
        ])(x)
        for i in range(2):  # c16 loop
          # c17 in it
          y = nn.Dense(self.width)(y)  # c18 layer
          # c19 end of loop
        # c20 before return
        return (  # c21 open
          y + x  # c22 sum
          # c23 close
        )
        # c24 last of all


    class Other(nn.Module):
      def setup(self):
        self.w = self.param("w", nn.initializers.ones, (3,))  # c25 other

      def __call__(self, x):
        return x * self.w
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", "Other(), x(2, 3)")
  for i in range(26):
    assert f"# c{i} " in ported.text, i


def test_comments_inside_a_partial_of_setup_survive(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 7

      def setup(self):
        dense = functools.partial(
          nn.Dense,
          self.width,  # how wide
          # kernel_init=later,
          use_bias=False
        )
        self.first = dense()
        if self.width > 3:
          more = functools.partial(
            nn.Dense,  # the same again
            self.width,
          )
          self.second = more(name="other")

      def __call__(self, x):
        return self.second(self.first(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(4), x(2, 3)"])
  assert all(c in ported.text for c in ("# how wide", "# kernel_init=later,", "# the same again"))


def test_rows_of_a_list_that_a_star_unpacks():
  rows = star_rows("[\n    a(1),\n    gelu,  # why\n    # below\n    b(\n      2\n    ),\n]")
  assert [(r, m.above, m.trailing) for r, m in rows] == [
    ("a(1)", [], ""),
    ("gelu", [], "# why"),
    ("b(\n      2\n    )", ["# below"], ""),
  ]
  assert [r for r, _ in star_rows("*[]")] == []
  assert [r for r, _ in star_rows("self.layers")] == ["*self.layers"]
  assert [r for r, _ in star_rows("[*a, b]")] == ["*a", "b"]


def test_calls_of_layers_that_hung_below_their_constructor_go_on_one_line(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        y = nn.Dense(
            features=5,
            name="first")(
                x)
        y = nn.Dense(3, name="second")(
            # what comes first
            y
        )
        return y
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4)")
  assert "    y = self.first(x)\n" in ported.text
  assert "        # what comes first\n" in ported.text
