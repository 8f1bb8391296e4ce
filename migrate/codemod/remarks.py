"""Comments between the arguments of a call, and calls laid out with theirs."""

from __future__ import annotations

import ast
import dataclasses
import io
import tokenize
from collections.abc import Sequence

from migrate.codemod.source import Source


@dataclasses.dataclass
class Remark:
  """Comments of one argument: on lines of their own before it, and at the end of its line."""

  above: list[str] = dataclasses.field(default_factory=list)
  trailing: str = ""

  def __bool__(self) -> bool:
    return bool(self.above or self.trailing)

  @property
  def every(self) -> list[str]:
    """All of them, in order."""
    return [*self.above, self.trailing] if self.trailing else self.above


def remarks_of(source: Source, call: ast.Call) -> tuple[dict[ast.AST, Remark], list[str]]:
  """The comments of every argument of a call, and those after the last one."""
  rows: list[ast.AST] = sorted([*call.args, *call.keywords], key=lambda n: source.span(n)[0])
  found: dict[ast.AST, Remark] = {row: Remark() for row in rows}
  at, stop = source.span(call.func)[1], source.span(call)[1]
  if "#" not in source.between(at, stop):
    return found, []
  previous: ast.AST | None = None
  for row in [*rows, None]:
    start, end = source.span(row) if row is not None else (stop, stop)
    first, own = _comments(source.between(at, start))
    if first and previous is not None:
      found[previous].trailing = first
    elif first:
      own.insert(0, first)
    if row is None:
      return found, own
    found[row].above = own
    at, previous = end, row
  return found, []


def star_rows(text: str) -> list[tuple[str, Remark]]:
  """Arguments for a list that a star unpacks: its items, with their comments, where it is written out."""
  stripped = text.strip().removeprefix("*")
  if stripped[:1] in "[(" and stripped[-1:] in ")]":
    try:
      tree = ast.parse(stripped, mode="eval").body
    except SyntaxError:
      tree = None
    if isinstance(tree, ast.List | ast.Tuple):
      source = Source("", f"_({stripped[1:-1].strip().rstrip(',')}\n)" if tree.elts else "_()")
      call = source.tree.body[0].value  # pyright: ignore
      found, last = remarks_of(source, call)  # pyright: ignore
      rows = [(source.code(row), found[row]) for row in call.args]  # pyright: ignore
      if rows and last:
        rows[-1][1].trailing = rows[-1][1].trailing or last[0]
      return rows
  return [(f"*{stripped}", Remark())]


def comments_in(source: Source, node: ast.AST) -> tuple[str, ...]:
  """Every comment inside an expression, in order."""
  text = source.between(*source.span(node))
  if "#" not in text:
    return ()
  first, own = _comments(text)
  return (first, *own) if first else tuple(own)


def _comments(gap: str) -> tuple[str, list[str]]:
  """The comment on the first line of the text between two arguments, and those below it."""
  first, own = "", []
  try:
    for token in tokenize.generate_tokens(io.StringIO(gap).readline):
      if token.type == tokenize.COMMENT and token.start[0] == 1:
        first = token.string
      elif token.type == tokenize.COMMENT:
        own.append(token.string)
  except (tokenize.TokenError, IndentationError):
    pass  # half of a pair of brackets: what comments there are have been seen
  return first, own


def fits_one_line(source: Source, node: ast.Call, text: str) -> bool:
  """Whether a layer's call goes on one line, that went over several for the sake of the constructor in it."""
  end = source.span(node)[1]
  inside = source.between(source.span(node.func)[1], end)
  if not isinstance(node.func, ast.Call) or "\n" not in inside or "#" in inside or "\n" in text:
    return False
  before = source.between(source.offset(node.lineno, 0), source.span(node)[0])
  after = source.line(node.end_lineno or node.lineno).encode()[node.end_col_offset or 0 :].decode()
  return len((before + text + after).rstrip()) <= 100


def layout_call(
  function: str,
  arguments: Sequence[str],
  indent: str,
  width: int = 100,
  remarks: Sequence[Remark | None] = (),
  last: Sequence[str] = (),
  apart: bool = False,
) -> str:
  """A call on one line where it fits, else one argument a line.

  Args:
    function: what is called.
    arguments: their texts.
    indent: before every line but the first.
    width: what a line may be long.
    remarks: comments of the arguments; any makes lines.
    last: comments after the last argument.
    apart: whether each argument has a line of its own in any case.
  """
  line = f"{function}({', '.join(arguments)})"
  if not arguments or (len(line) <= width and "\n" not in line and not any(remarks) and not last and not apart):
    return line
  inner = indent + "    "
  body = ""
  for i, argument in enumerate(arguments):
    remark = (remarks[i] if i < len(remarks) else None) or Remark()
    body += "".join(f"{inner}{c}\n" for c in remark.above)
    text = argument.replace("\n", "\n" + inner) if argument.endswith("\n)") else argument
    comma = "" if text.rpartition("\n")[2].lstrip().startswith("#") else ","  # the last of several, with its comma
    body += f"{inner}{text}{comma}" + (f"  {remark.trailing}" if remark.trailing else "") + "\n"
  body += "".join(f"{inner}{c}\n" for c in last)
  return f"{function}(\n{body}{indent})"
