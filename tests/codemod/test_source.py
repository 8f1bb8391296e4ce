"""Source text by position: bytes and characters, comments, layout."""

from __future__ import annotations

import ast

import pytest

from migrate.codemod.source import Source, aliased_in, apart, branches_of, dotted, names_in, opposite

TEXT = '''# first

# a comment
# of two lines
@decorator
def f(x):  # after the header
  """Doc."""
  größe = x + "ü"  # trailing ü

  # above
  return (größe,
          x)
'''


@pytest.fixture
def source():
  return Source("f.py", TEXT)


def function(source: Source) -> ast.FunctionDef:
  node = source.tree.body[0]
  assert isinstance(node, ast.FunctionDef)
  return node


def test_code_of_every_node_is_its_own_text_beyond_ascii(source):
  for node in ast.walk(source.tree):
    if isinstance(node, ast.expr):
      assert source.code(node) == ast.get_source_segment(TEXT, node)


def test_between_and_span_join_to_the_whole(source):
  start, end = source.span(function(source))
  whole = source.between(0, start) + source.between(start, end) + source.between(end, len(TEXT.encode()))
  assert whole == TEXT


def test_lead_reaches_over_blank_and_comment_lines(source):
  assert source.lead(function(source)) == 1
  assert source.first_line(function(source)) == 5  # the decorator's


def test_comments_above_leave_out_blank_lines(source):
  assert source.comments_above(function(source)) == ["# first", "# a comment", "# of two lines"]
  assert source.comments_above(function(source).body[-1]) == ["# above"]
  assert source.comments_above(function(source).body[0]) == []


def test_trailing_comment_of_the_last_line_only(source):
  assert source.trailing_comment(function(source).body[1]) == "# trailing ü"
  assert source.trailing_comment(function(source).body[2]) == ""


def test_indent_is_the_statement_s_own(source):
  assert source.indent(function(source).body[0]) == "  "
  assert source.indent(function(source)) == ""


def test_line_outside_the_file_is_empty(source):
  assert source.line(0) == ""
  assert source.line(1000) == ""


def test_file_without_a_final_newline():
  source = Source("g.py", "x = 1  # one")
  assert source.code(source.tree.body[0]) == "x = 1"
  assert source.trailing_comment(source.tree.body[0]) == "# one"


def test_windows_line_ends_are_kept():
  source = Source("g.py", "x = 1\r\ny = (2,\r\n     3)\r\n")
  assert source.code(source.tree.body[1].value) == "(2,\r\n     3)"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
  ("text", "wanted"), [("a", "a"), ("a.b.c", "a.b.c"), ("a().b", None), ("a[0].b", None), ("(a).b", "a.b")]
)
def test_dotted_names(text, wanted):
  assert dotted(ast.parse(text, mode="eval").body) == wanted


@pytest.mark.parametrize(
  ("text", "wanted"), [("a + b.c", {"a", "b"}), ("x = y", {"x", "y"}), ("f'{a}'", {"a"}), ("1", set()), ("a +", set())]
)
def test_names_in_a_text(text, wanted):
  assert names_in(text) == wanted


@pytest.mark.parametrize(
  ("test", "wanted"),
  [
    ("self.init is None", "self.init is not None"),
    ("not self.bias", "self.bias"),
    ("self.kind == 'a'", "self.kind != 'a'"),
    ("self.deep", "not self.deep"),
    ("len(self.widths) > 2", "not (len(self.widths) > 2)"),
    ("self.a and self.b", "not (self.a and self.b)"),
  ],
)
def test_opposite_of_a_test(test, wanted):
  assert opposite(test) == wanted


@pytest.mark.parametrize(
  ("text", "branches"), [("a if t else b", "ab"), ("a if t else b if u else c", "abc"), ("a", "a")]
)
def test_branches_of_an_expression(text, branches):
  value = ast.parse(text, mode="eval").body
  assert "".join(ast.unparse(b) for b in branches_of(value)) == branches


@pytest.mark.parametrize(
  ("text", "expected"),
  [
    ("init = nn.initializers.ones", True),
    ("init = nn.initializers.ones()", False),
    ("init = nn.a\nif x:\n  init = nn.b", False),
    ("def f():\n  init = nn.a", False),
    ("from nn import init", False),
  ],
)
def test_names_given_once_at_the_top_of_a_file(text, expected):
  assert aliased_in(Source("", text), "init") is expected


def test_nodes_on_two_ways_of_a_condition_are_apart():
  source = Source("a.py", "if a:\n  f()\n  if b:\n    g()\nelse:\n  h()\nk(1 if c else 2)\n")
  calls = {ast.unparse(n.func): n for n in ast.walk(source.tree) if isinstance(n, ast.Call)}
  one, two = [n for n in ast.walk(source.tree) if isinstance(n, ast.Constant)]
  assert apart(source, calls["f"], calls["h"])
  assert apart(source, calls["h"], calls["g"])
  assert not apart(source, calls["f"], calls["g"])
  assert not apart(source, calls["f"], calls["k"])
  assert apart(source, one, two)
