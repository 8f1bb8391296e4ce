"""Loops over lists of layers as a person writes them: `for dense in self.dense:` instead of an iterator beside the loop."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import textwrap
from collections.abc import Sequence, Set

from migrate.codemod.remarks import layout_call
from migrate.codemod.source import Source

_KNOWN = {"self", "range", "enumerate", "zip", "len", "reversed", "list", "tuple", "sorted"}
_BRANCHES = (ast.IfExp, ast.BoolOp, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FEW = 3  # lists that one header goes through
_STRAIGHT = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr)


def plain_loops(body: str, static: set[str], taken: set[str], counted: Set[str] = frozenset()) -> str:
  """The body of a method, whose loops take their layers in the header where every round takes one of each.

  Args:
    body: the text; `dense_iter = iter(self.dense)` stands before the loop, `next(dense_iter)` in it.
    static: names that hold only what construction knows.
    taken: names that mean something in the method: its arguments.
    counted: lists with one layer for every round of the loop that reads them by number, `self.dense[i]`.
  """
  if "_iter = iter(self." not in body and not any(f"self.{a}[" in body for a in counted):
    return body
  indent = body[: len(body) - len(body.lstrip())].rpartition("\n")[2]
  plain = textwrap.dedent(body)
  while True:
    try:
      source = Source("", plain)
    except SyntaxError:
      return body
    edits = next(filter(None, (_plain(source, block, i, static, taken) or _nested(source, block, i, static, taken)
                               or _counted(source, block[i], static, taken, counted)
                               for block in _blocks(source.tree) for i in range(len(block)))), None)  # fmt: skip
    if edits is None:
      break
    data = source.data
    for (start, end), text in sorted(edits.items(), reverse=True):
      data = data[:start] + text.encode() + data[end:]
    plain = data.decode()
  return textwrap.indent(plain, indent) if plain != textwrap.dedent(body) else body


def _blocks(tree: ast.AST) -> list[list[ast.stmt]]:
  found = (getattr(n, name, None) for n in ast.walk(tree) for name in ("body", "orelse", "finalbody"))
  return [b for b in found if isinstance(b, list) and b]


def _plain(source: Source, block: Sequence[ast.stmt], at: int, static: set[str], taken: set[str]) -> dict | None:
  """The edits for the loop at a place, or None where it stays."""
  loop = block[at]
  if not isinstance(loop, ast.For) or loop.orelse:
    return None
  taking = _takes(source, block, at, loop)
  names = _called(taking, {n.id for n in ast.walk(source.tree) if isinstance(n, ast.Name)} | taken)
  if not taking or not names:
    return None
  targets = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
  inside = {id(n) for n in ast.walk(loop.target)}
  read = any(
    isinstance(n, ast.Name) and n.id in targets and id(n) not in inside and isinstance(n.ctx, ast.Load)
    for n in ast.walk(source.tree)
  )
  items, targets_now = [f"self.{a}" for _, _, a, _ in taking], names
  known = {n.id for n in ast.walk(loop.iter) if isinstance(n, ast.Name)} <= _KNOWN | static
  if (
    read or not known or any(isinstance(n, ast.Call) and not isinstance(n.func, ast.Name) for n in ast.walk(loop.iter))
  ):
    targets_now, items = _beside(source, loop.target, loop.iter, names, items)
  edits = {(source.span(loop.target)[0], source.span(loop.iter)[1]): _header(targets_now, items, source.indent(loop))}
  return edits | _taken(source, taking, names)


_Taking = list[tuple[ast.stmt, str, str, ast.Call]]


def _takes(source: Source, block: Sequence[ast.stmt], at: int, loop: ast.For) -> _Taking:
  """The lists above a place that every round of a loop takes one layer of; none where one is read otherwise."""
  first = at
  while first and _listed(block[first - 1]) is not None:
    first -= 1
  lists = [pair for s in block[first:at] if (pair := _listed(s)) is not None]
  taking = [(s, n, a, c) for s, (n, a) in zip(block[first:at], lists, strict=True) if (c := _only_use(source, loop, n))]
  return taking if len(taking) == len(lists) else []


def _called(taking: _Taking, used: set[str]) -> list[str]:
  """Names for one layer of each list; none where one has no good name."""
  names: list[str] = []
  for _, _, attribute, _ in taking:
    name = _layer_name(attribute, used | set(names))
    if name is None:
      return []
    names.append(name)
  return names


def _header(targets: list[str], items: list[str], indent: str) -> str:
  names = f"{', '.join(targets)} in "
  if len(items) == 1:
    return names + items[0]
  return names + layout_call("zip", [*map(_one_line, items)], indent, 90 - len(f"{indent}for {names}"))


def _one_line(text: str) -> str:
  """An expression without its line breaks, unless they may stand in a comment or a string."""
  if "\n" not in text or "#" in text or '"""' in text or "'''" in text:
    return text
  text = re.sub(r"(?<=[(\[{])\s*\n\s*", "", text)
  return re.sub(r"\s*\n\s*", " ", re.sub(r",?\s*\n\s*(?=[)\]}])", "", text))


def _taken(source: Source, taking: _Taking, names: list[str]) -> dict[tuple[int, int], str]:
  """The edits for iterators that a header replaces."""
  edits: dict[tuple[int, int], str] = {}
  for name, (statement, _, _, call) in zip(names, taking, strict=True):
    edits[(source.offset(statement.lineno, 0), source.offset((statement.end_lineno or statement.lineno) + 1, 0))] = ""
    edits[source.span(call)] = name
  return edits


def _nested(source: Source, block: Sequence[ast.stmt], at: int, static: set[str], taken: set[str]) -> dict | None:
  """The edits for loops in loops that only count their layers: one loop over the layers is left.

  `for size in self.stage_sizes:` and in it `for _ in range(size): x = next(block_iter)(x)`.
  """
  loop: ast.stmt | None = block[at]
  loops: list[ast.For] = []
  while isinstance(loop, ast.For) and not loop.orelse:
    loops.append(loop)
    loop = loop.body[0] if len(loop.body) == 1 else None
  taking = _takes(source, block, at, loops[-1]) if len(loops) > 1 else []
  names = [n for n in ast.walk(source.tree) if isinstance(n, ast.Name)]
  called = _called(taking, {n.id for n in names} | taken)
  if not taking or not called:
    return None
  outer, inner = loops[0], loops[-1]
  targets = {n.id for o in loops for n in ast.walk(o.target) if isinstance(n, ast.Name)}
  headers = {id(n) for o in loops for part in (o.target, o.iter) for n in ast.walk(part)}
  if any(n.id in targets and id(n) not in headers and isinstance(n.ctx, ast.Load) for n in names):
    return None
  over = [n for o in loops for n in ast.walk(o.iter)]
  known = {n.id for n in over if isinstance(n, ast.Name)} <= _KNOWN | static | targets
  if not known or any(isinstance(n, ast.Call) and not isinstance(n.func, ast.Name) for n in over):
    return None
  header = (source.span(outer.target)[0], source.span(inner.iter)[1])
  lines = range((inner.iter.end_lineno or inner.lineno) + 1, (inner.end_lineno or inner.lineno) + 1)
  texts = [n for n in ast.walk(inner) if isinstance(n, ast.Constant | ast.JoinedStr)]
  if "#" in source.between(*header) or any(n.end_lineno != n.lineno for n in texts):
    return None
  deeper = " " * (inner.body[0].col_offset - outer.body[0].col_offset) if lines else ""
  edits: dict[tuple[int, int], str] = {
    header: _header(called, [f"self.{a}" for _, _, a, _ in taking], source.indent(outer))
  }
  for line in lines:
    if source.line(line).startswith(deeper) and deeper:
      edits[(source.offset(line, 0), source.offset(line, len(deeper)))] = ""
  return edits | _taken(source, taking, called)


def _counted(source: Source, loop: ast.stmt, static: set[str], taken: set[str], counted: Set[str]) -> dict | None:
  """The edits for a loop that counts only to find its layers: `for i in range(self.depth): x = self.blocks[i](x)`."""
  if not isinstance(loop, ast.For) or loop.orelse or not isinstance(loop.iter, ast.Call) or len(loop.iter.args) != 1:
    return None
  kind = loop.iter.func.id if isinstance(loop.iter.func, ast.Name) and not loop.iter.keywords else ""
  items = loop.target.elts if isinstance(loop.target, ast.Tuple) and kind == "enumerate" else [loop.target]
  number = items[0]
  known = {n.id for n in ast.walk(loop.iter) if isinstance(n, ast.Name)} <= _KNOWN | static
  if not isinstance(number, ast.Name) or len(items) != {"range": 1, "enumerate": 2}.get(kind) or not known:
    return None
  names = [n for n in ast.walk(source.tree) if isinstance(n, ast.Name)]
  counts = sorted((n for n in names if n.id == number.id and n is not number), key=lambda n: source.span(n)[0])
  uses = [source.parents.get(n) for n in counts]
  places = [(_numbered(u, number.id, counted), u) for u in uses]
  if not places or not all(attribute for attribute, _ in places) or not _within(source, loop, uses):
    return None
  called: dict[str, str] = {}
  if len({a for a, _ in places}) > _FEW:
    return None  # the header would be longer than what it saves
  for attribute in dict.fromkeys(a for a, _ in places if a):
    name = _layer_name(attribute, {n.id for n in names} | taken | {*called.values()})
    if name is None:
      return None
    called[attribute] = name
  others = {n.id for i in items[1:] for n in ast.walk(i) if isinstance(n, ast.Name)}
  targets, lists = [*called.values()], [f"self.{a}" for a in called]
  if any(n.id in others and isinstance(n.ctx, ast.Load) for n in names):
    targets, lists = _beside(source, items[1], loop.iter.args[0], targets, lists)
  edits = {(source.span(loop.target)[0], source.span(loop.iter)[1]): _header(targets, lists, source.indent(loop))}
  return edits | {source.span(u): called[a] for a, u in places if a and u is not None}


def _numbered(node: ast.AST | None, number: str, lists: Set[str]) -> str | None:
  """The list of which a node reads one by its number: `self.blocks[i]`."""
  if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Name) or node.slice.id != number:
    return None
  owner = node.value
  own = isinstance(owner, ast.Attribute) and isinstance(owner.value, ast.Name) and owner.value.id == "self"
  return owner.attr if own and isinstance(owner, ast.Attribute) and owner.attr in lists else None


def _within(source: Source, loop: ast.For, nodes: Sequence[ast.AST | None]) -> bool:
  return all(n is not None and loop in source.enclosing(n) for n in nodes)


def _listed(statement: ast.stmt) -> tuple[str, str] | None:
  """(name, attribute) of `dense_iter = iter(self.dense)`."""
  if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
    return None
  value, name = statement.value, statement.targets[0].id
  made = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "iter"
  attribute = value.args[0] if made and isinstance(value, ast.Call) and len(value.args) == 1 else None
  own = isinstance(attribute, ast.Attribute) and isinstance(attribute.value, ast.Name) and attribute.value.id == "self"
  if not own or not isinstance(attribute, ast.Attribute) or name != f"{attribute.attr}_iter":
    return None
  return name, attribute.attr


def _only_use(source: Source, loop: ast.For, name: str) -> ast.Call | None:
  """The `next(name)` that every round of the loop comes to once, if nothing else uses the name."""
  uses = [n for n in ast.walk(source.tree) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
  call = source.parents.get(uses[0]) if len(uses) == 1 else None
  if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "next":
    return None
  inner: ast.AST = call
  while (outer := source.parents.get(inner)) is not loop:
    if (
      outer is None
      or isinstance(outer, _BRANCHES)
      or (isinstance(outer, ast.stmt) and not isinstance(outer, _STRAIGHT))
    ):
      return None
    inner = outer
  before = loop.body[: loop.body.index(inner)] if inner in loop.body else None  # pyright: ignore
  leaves = (ast.Continue, ast.Break, ast.Return)
  if before is None or any(isinstance(n, leaves) for s in before for n in ast.walk(s)):
    return None
  return call


def _layer_name(attribute: str, used: set[str]) -> str | None:
  """A name for one layer of a list, which nothing has yet."""
  single = attribute[:-1] if attribute.endswith("s") and not attribute.endswith(("ss", "us", "is")) else attribute
  for name in (single, attribute, f"{attribute}_layer"):
    if name not in used and not keyword.iskeyword(name) and not hasattr(builtins, name):
      return name
  return None


def _beside(
  source: Source, target: ast.expr, over: ast.expr, names: list[str], items: list[str]
) -> tuple[list[str], list[str]]:
  """Targets and what they run over, where the loop's own target is read too."""
  text = source.code(target)
  zipped = isinstance(over, ast.Call) and isinstance(over.func, ast.Name) and over.func.id == "zip"
  if zipped and isinstance(over, ast.Call) and not over.keywords and isinstance(target, ast.Tuple):
    if len(over.args) == len(target.elts) and not any(isinstance(a, ast.Starred) for a in over.args):
      return [*map(source.code, target.elts), *names], [*map(source.code, over.args), *items]
  if isinstance(target, ast.Tuple) and not text.startswith("("):
    text = f"({text})"
  return [text, *names], [source.code(over), *items]
