"""A source file as text with positions: what is not changed stays byte for byte."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from migrate.trace.instrument import Position, position


class Source:
  """The text of one file, addressed by the positions of its syntax tree."""

  def __init__(self, path: str, text: str):
    self.path = path
    self.text = text
    self.tree = ast.parse(text, path)
    self.data = text.encode()
    self.lines = text.splitlines(keepends=True)
    self._starts = [0]
    for line in self.data.splitlines(keepends=True):
      self._starts.append(self._starts[-1] + len(line))
    self.parents: dict[ast.AST, ast.AST] = {}
    self.respelled: dict[ast.AST, str] = {}  # nodes that stand for others -> what they are called
    self.bound: set[str] = set()  # names of arguments and of what is assigned anywhere below the top
    self._functions: dict[tuple[int, str], ast.FunctionDef] = {}
    for node in ast.walk(self.tree):
      if isinstance(node, ast.FunctionDef):
        self._functions[self.first_line(node), node.name] = node
      if isinstance(node, ast.arg):
        self.bound.add(node.arg)
      if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.col_offset:
        self.bound.add(node.id)
      for child in ast.iter_child_nodes(node):
        self.parents[child] = node

  def offset(self, line: int, column: int) -> int:
    """Byte offset of a position."""
    return self._starts[line - 1] + column

  def span(self, node: ast.AST) -> tuple[int, int]:
    """Byte offsets of a node's start and end."""
    line, column, end_line, end_column = position(node)
    return self.offset(line, column), self.offset(end_line, end_column)

  def code(self, node: ast.AST) -> str:
    """The node's own text."""
    if node in self.respelled:
      return self.respelled[node]
    start, end = self.span(node)
    return self.data[start:end].decode()

  def between(self, start: int, end: int) -> str:
    """Text between two byte offsets."""
    return self.data[start:end].decode()

  def line(self, number: int) -> str:
    """One line, with its end."""
    return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

  def indent(self, node: ast.AST) -> str:
    """White space before a statement."""
    line = self.line(node.lineno)  # type: ignore[attr-defined]
    return line[: len(line) - len(line.lstrip())]

  def first_line(self, statement: ast.stmt) -> int:
    """The line where a statement begins, decorators included."""
    decorators = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *[d.lineno for d in decorators]])

  def lead(self, statement: ast.stmt) -> int:
    """The first of the blank and comment lines that stand directly above a statement."""
    number = self.first_line(statement)
    if self.shares_line(statement):
      return number  # they are those of what stands before it
    while number > 1 and (not self.line(number - 1).strip() or self.line(number - 1).lstrip().startswith("#")):
      number -= 1
    return number

  def shares_line(self, statement: ast.stmt) -> bool:
    """Whether something stands before a statement on its line: the colon of a header, another statement."""
    return bool(self.between(self.offset(statement.lineno, 0), self.span(statement)[0]).strip())

  def comments_above(self, statement: ast.stmt) -> list[str]:
    """Comment lines directly above a statement, without indentation."""
    found = [self.line(n).strip() for n in range(self.lead(statement), self.first_line(statement))]
    while found and not found[0]:
      found.pop(0)
    return [f for f in found if f]

  def trailing_comment(self, statement: ast.stmt) -> str:
    """The comment at the end of a statement's last line, or an empty text."""
    end = self.offset(statement.end_lineno or 0, statement.end_col_offset or 0)
    stop = self._starts[statement.end_lineno or 0]
    rest = self.data[end:stop].decode().strip()
    return rest if rest.startswith("#") else ""

  def function(self, line: int, qualname: str) -> ast.FunctionDef | None:
    """The function that starts, decorators included, at a line, by the name that its code has."""
    return self._functions.get((line, qualname.rpartition(".")[2]))

  def enclosing(self, node: ast.AST) -> Iterator[ast.AST]:
    """The nodes around a node, innermost first."""
    while node in self.parents:
      node = self.parents[node]
      yield node


def children(node: ast.AST) -> list[ast.AST]:
  """Positioned nodes directly below, in source order; unpositioned ones give way to their own children."""
  found: list[ast.AST] = []
  for child in ast.iter_child_nodes(node):
    if hasattr(child, "end_lineno"):
      found.append(child)
    else:
      found.extend(children(child))
  return sorted(found, key=lambda n: position(n)[:2])


def key(node: ast.AST) -> Position:
  """The position by which a trace knows a node."""
  return position(node)


def dotted(node: ast.AST) -> str | None:
  """`a.b.c` of names and attributes, else None."""
  if isinstance(node, ast.Name):
    return node.id
  if isinstance(node, ast.Attribute):
    base = dotted(node.value)
    return f"{base}.{node.attr}" if base else None
  return None


def defaults_of(arguments: ast.arguments) -> dict[str, ast.expr]:
  """Parameter -> its default, for those that have one."""
  plain = [a.arg for a in [*arguments.posonlyargs, *arguments.args]]
  found = dict(zip(reversed(plain), reversed(arguments.defaults), strict=False))
  return found | {a.arg: d for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None}


def names_in(text: str) -> set[str]:
  """Identifiers loaded anywhere in an expression or statement text."""
  try:
    tree = ast.parse(text.strip())
  except SyntaxError:
    return set()
  return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}


def loads_in(text: str) -> set[str]:
  """Identifiers that an expression or statement text reads."""
  try:
    tree = ast.parse(text.strip())
  except SyntaxError:
    return set()
  return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


_OPPOSITES: dict[type[ast.cmpop], str] = {
  ast.Is: "is not", ast.IsNot: "is", ast.Eq: "!=", ast.NotEq: "==", ast.In: "not in", ast.NotIn: "in"
}  # fmt: skip


def opposite(test: str) -> str:
  """What holds where a test does not, as a person writes it: `x is not None` for `x is None`."""
  try:
    node = ast.parse(test, mode="eval").body
  except SyntaxError:
    return f"not ({test})"
  code = lambda n: ast.get_source_segment(test, n) or ""
  if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
    return code(node.operand)
  if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _OPPOSITES and "(" not in test:
    return f"{code(node.left)} {_OPPOSITES[type(node.ops[0])]} {code(node.comparators[0])}"
  simple = isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
  return f"not {test}" if simple else f"not ({test})"


def branches_of(value: ast.expr) -> list[ast.expr]:
  """The values that an expression chooses from: both of `a if test else b`, itself for any other."""
  return [*branches_of(value.body), *branches_of(value.orelse)] if isinstance(value, ast.IfExp) else [value]


def aliased_in(source: Source, name: str) -> bool:
  """Whether one statement at the top of a file gives a name, and gives it another dotted name."""
  stores = [
    n for n in ast.walk(source.tree) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)
  ]
  made = source.parents.get(stores[0]) if len(stores) == 1 else None
  return isinstance(made, ast.Assign) and made in source.tree.body and dotted(made.value) is not None


def apart(source: Source, first: ast.AST, second: ast.AST) -> bool:
  """Whether two nodes stand on different ways of the same condition, so that only one of them is ever reached."""
  mine = {id(n) for n in (first, *source.enclosing(first))}
  theirs = {id(n) for n in (second, *source.enclosing(second))}
  for node in source.enclosing(first):
    if not isinstance(node, ast.If | ast.IfExp) or id(node) not in theirs:
      continue
    ways = [[node.body], [node.orelse]] if isinstance(node, ast.IfExp) else [node.body, node.orelse]
    on = [{i for i, way in enumerate(ways) if any(id(n) in side for n in way)} for side in (mine, theirs)]
    return bool(on[0] and on[1]) and on[0] != on[1]
  return False
