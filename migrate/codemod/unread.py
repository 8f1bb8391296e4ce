"""Arguments that only construction needed leave the functions that made layers, and the calls of these."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Mapping, Sequence

from migrate.codemod.dead import drop_dead
from migrate.codemod.source import Source, defaults_of


def drop_unread(texts: Mapping[str, str], functions: Sequence[tuple[str, str]]) -> dict[str, str]:
  """Drops parameters that a function does not read any more, with what its calls give for them.

  Args:
    texts: pieces of source that hold the functions and every call of them, by any key.
    functions: (kind, name) of each: `function` or `closure` is called by name, `method` through an object.

  Returns:
    The pieces. One that does not parse, and a function that is more than called, stay as they are.
  """
  found = dict(texts)
  changed = True
  while changed:
    changed = False
    for kind, name in functions:
      after = _drop(found, kind, name)
      changed = changed or after != found
      found = after
  return {key: _forget(texts[key], text) for key, text in found.items()}


def _forget(before: str, after: str) -> str:
  """A piece without assignments to locals of which the last reader was an argument that went."""
  if before == after:
    return after
  was, now = [Source("", textwrap.dedent(t)) for t in (before, after)]
  indent = after[: len(after) - len(after.lstrip())].rpartition("\n")[2]
  text = textwrap.dedent(after)
  functions = [[n for n in ast.walk(s.tree) if isinstance(n, ast.FunctionDef)] for s in (was, now)]
  if [f.name for f in functions[0]] != [f.name for f in functions[1]]:
    return after
  lines = text.split("\n")
  for old, new in sorted(zip(*functions, strict=True), key=lambda p: -p[1].lineno):
    forgotten = (_reads(old) - _reads(new, stored=False)) & _reads(new)
    if forgotten and new.body[0].lineno > new.lineno:
      first, last = new.body[0].lineno - 1, new.end_lineno or new.lineno
      lines[first:last] = drop_dead("\n".join(lines[first:last]) + "\n", forgotten, old).rstrip("\n").split("\n")
  text = "\n".join(lines)
  return textwrap.indent(text, indent) if indent else text


def _drop(texts: dict[str, str], kind: str, name: str) -> dict[str, str]:
  pieces: dict[str, tuple[Source, str]] = {}
  for key, text in texts.items():
    indent = text[: len(text) - len(text.lstrip())].rpartition("\n")[2]
    try:
      pieces[key] = Source("", textwrap.dedent(text)), indent
    except SyntaxError:
      return texts
  homes = [(k, n) for k, (s, _) in pieces.items() for n in ast.walk(s.tree)
           if isinstance(n, ast.FunctionDef) and n.name == name]  # fmt: skip
  calls = [(k, c) for k, (s, _) in pieces.items() for c in _uses(s, kind, name)]
  if len(homes) != 1 or not calls or any(c is None for _, c in calls):
    return texts
  home, definition = homes[0]
  arguments = definition.args
  plain = [*arguments.posonlyargs, *arguments.args]
  unread = {a.arg for a in [*plain, *arguments.kwonlyargs]} - _reads(definition)
  offset = 1 if kind == "method" else 0
  unread -= {"layers", *(a.arg for a in plain[:offset])}
  if not unread or arguments.vararg or arguments.kwarg:
    return texts
  places = {i - offset for i, a in enumerate(plain) if a.arg in unread}
  edits: dict[str, list[tuple[int, int]]] = {k: [] for k in pieces}
  for key, call in calls:
    assert call is not None
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
      return texts
    gone = [a for i, a in enumerate(call.args) if i in places] + [k for k in call.keywords if k.arg in unread]
    if any(_acts(a) for a in gone):
      return texts
    edits[key] += _cuts(pieces[key][0], [*call.args, *call.keywords], gone)
  defaults = defaults_of(arguments)
  rows: list[ast.AST] = [_Row(a, defaults.get(a.arg)) for a in [*plain, *arguments.kwonlyargs]]
  edits[home] += _cuts(pieces[home][0], rows, [r for r in rows if isinstance(r, _Row) and r.name in unread])
  return {k: _apply(texts[k], *pieces[k], edits[k]) for k in texts}


class _Row(ast.expr):
  """A parameter with its default, as one node."""

  def __init__(self, argument: ast.arg, default: ast.expr | None):
    last = default or argument
    self.name = argument.arg
    self.lineno, self.col_offset = argument.lineno, argument.col_offset
    self.end_lineno, self.end_col_offset = last.end_lineno, last.end_col_offset


def _uses(source: Source, kind: str, name: str) -> list[ast.Call | None]:
  """Every call of the function; None for a use that is no call."""
  found: list[ast.Call | None] = []
  for node in ast.walk(source.tree):
    named = isinstance(node, ast.Name) and node.id == name and kind != "method"
    reached = isinstance(node, ast.Attribute) and node.attr == name and kind != "closure"
    if named or reached:
      call = source.parents.get(node)
      found.append(call if isinstance(call, ast.Call) and call.func is node else None)
  return found


def _reads(definition: ast.FunctionDef, stored: bool = True) -> set[str]:
  inside = [n for statement in definition.body for n in ast.walk(statement)]
  return {n.id for n in inside if isinstance(n, ast.Name) and (stored or isinstance(n.ctx, ast.Load))}


def _acts(node: ast.AST) -> bool:
  """Whether an argument does something when it is evaluated, as far as its text tells."""
  for inner in ast.walk(node):
    if isinstance(inner, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
      return True
    if isinstance(inner, ast.Call) and ast.unparse(inner.func).rpartition(".")[2] in (
      "next",
      "pop",
      "split",
      "make_rng",
    ):
      return True
  return False


def _cuts(source: Source, rows: Sequence[ast.AST], gone: Sequence[ast.AST]) -> list[tuple[int, int]]:
  """Spans to leave out so that no comma stays behind: up to the next argument, or from the end of the one before."""
  ordered = sorted(rows, key=lambda n: source.span(n)[0])
  spans = [source.span(n) for n in ordered]
  dropped = [any(n is g for g in gone) for n in ordered]
  cuts = []
  for i, (start, end) in enumerate(spans):
    if not dropped[i]:
      continue
    if i + 1 < len(spans):
      between = source.between(end, spans[i + 1][0])
      star = between.find("*")  # what makes the next ones keyword-only stays
      cuts.append((start, end + star if star >= 0 else spans[i + 1][0]))
    else:
      kept = [s for s, d in zip(spans[:i], dropped[:i], strict=True) if not d]
      cuts.append((kept[-1][1] if kept else start, end))
  return cuts


def _apply(original: str, source: Source, indent: str, cuts: list[tuple[int, int]]) -> str:
  if not cuts:
    return original
  data, at, out = source.data, 0, b""
  for start, end in sorted(cuts):
    if end <= at:
      continue
    out += data[at : max(start, at)]
    at = end
  text = (out + data[at:]).decode()
  return textwrap.indent(text, indent) if indent else text
