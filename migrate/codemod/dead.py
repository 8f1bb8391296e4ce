"""What is left in a method of statements that only construction needed."""

from __future__ import annotations

import ast
import textwrap
from collections import Counter
from collections.abc import Iterator

from migrate.codemod.source import Source
from migrate.codemod.unread_arrays import unread_arrays

_CHANGES = ("update", "append", "extend", "insert", "setdefault", "pop", "remove", "clear", "add", "discard")
_COPIES = ("copy.copy", "copy.deepcopy", "dataclasses.replace", "dict", "list")


def drop_dead(
  body: str, static: set[str], node: ast.FunctionDef, arrays: frozenset[str] | set[str] = frozenset()
) -> str:
  """The body without them.

  Args:
    body: the text that a method has now.
    static: names that hold only what construction knows.
    node: the method as it was.
    arrays: statements that make arrays, and that `__init__` has too.
  """
  original = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
  kept = {ast.unparse(n) for n in ast.walk(node) if isinstance(n, ast.If | ast.For)}
  lines = _unnamed(body, original).split("\n")
  while True:
    try:
      tree = ast.parse(textwrap.dedent("def f():\n" + textwrap.indent(textwrap.dedent("\n".join(lines)), "  ")))
    except SyntaxError:
      return "\n".join(lines)
    dead = next(_dead(tree, static & original, original), None) or next(_unused_imports(tree, original), None)
    dead = dead or unread_arrays(tree, arrays)
    first, last = (dead.lineno - 2, (dead.end_lineno or dead.lineno) - 2) if dead is not None else (0, -1)
    if dead is None:
      first, last = _empty(tree, lines, kept)
      if last >= first:
        dead = next((n for n in ast.walk(tree) if isinstance(n, ast.stmt) and n.lineno - 2 == first), None)
    if last < first:
      return "\n".join(lines)
    prefix = _before(lines, tree, dead) if dead is not None else ""
    if prefix.strip():  # it stands behind the colon of its header
      lines[first : last + 1] = [prefix + "pass"]
      continue
    block = _enclosing_block(tree, dead) if dead is not None else None
    if block is not None and len(block) == 1 and not lines[first].lstrip().startswith("el"):
      lines[first : last + 1] = [lines[first][: len(lines[first]) - len(lines[first].lstrip())] + "pass"]
    else:
      blank = not lines[first - 1].strip() or lines[first - 1].rstrip().endswith(":") if first else True
      while blank and last + 1 < len(lines) - 1 and not lines[last + 1].strip():
        last += 1
      del lines[first : last + 1]


def _unnamed(body: str, original: set[str]) -> str:
  """The body without names that tests give (`:=`) and that nothing reads any more."""
  try:
    source = Source("", textwrap.dedent(body))
  except SyntaxError:
    return body
  names = [n for n in ast.walk(source.tree) if isinstance(n, ast.Name)]
  read = {n.id for n in names if isinstance(n.ctx, ast.Load)}
  given = [n for n in ast.walk(source.tree) if isinstance(n, ast.NamedExpr) and n.target.id in original - read]
  indent = body[: len(body) - len(body.lstrip())].rpartition("\n")[2]
  data = source.data
  for node in sorted(given, key=lambda n: source.span(n)[0], reverse=True):
    start, end = source.span(node)
    value = source.code(node.value).encode()
    simple = isinstance(node.value, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
    alone = (
      data[start - 1 : start] == b"(" and data[end : end + 1] == b")" and not data[start - 2 : start - 1].isalnum()
    )
    if simple and alone:
      start, end = start - 1, end + 1
    data = data[:start] + value + data[end:]
  return textwrap.indent(data.decode(), indent) if given else body


def _dead(tree: ast.AST, static: set[str], original: set[str]) -> Iterator[ast.stmt]:
  """Assignments to names that nothing reads, and changes of an object that nothing else reads.

  Args:
    tree: the method as it is now.
    static: names that only construction needed.
    original: names that the method read before: what calls nothing goes with its last reader.
  """
  loads = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
  loaded = Counter(n.id for n in loads)
  stores = [n for n in ast.walk(tree) if isinstance(n, ast.Assign | ast.AugAssign)]
  calls = [n for n in ast.walk(tree) if isinstance(n, ast.Expr)]  # `options.update(...)`, as far as it says so
  changed: Counter[str] = Counter()
  for store in [*stores, *calls]:
    if (root := _root(store)) is not None:
      changed[root] += sum(isinstance(n, ast.Name) and n.id == root for n in ast.walk(store))
  own: Counter[str] = Counter()  # loads that only make the next value of the name
  for inner in stores:
    for target in [inner.target] if isinstance(inner, ast.AugAssign) else inner.targets:
      if isinstance(target, ast.Name):
        own[target.id] += sum(isinstance(n, ast.Name) and n.id == target.id for n in ast.walk(inner.value))
  for choice in (n for n in ast.walk(tree) if isinstance(n, ast.If)):  # `if size is None: size = 3`
    if (only := _only_sets(choice)) is not None and _is_pure(choice.test):
      own[only] += sum(isinstance(n, ast.Name) and n.id == only for n in ast.walk(choice.test))
  for inner in stores:
    target = inner.target if isinstance(inner, ast.AugAssign) else inner.targets[0]
    if (isinstance(inner, ast.Assign) and len(inner.targets) != 1) or not _is_pure(inner.value):
      continue
    gone = static | original if _calls_nothing(inner.value) else static
    names = target.elts if isinstance(target, ast.Tuple) and isinstance(inner.value, ast.Tuple) else [target]
    if all(isinstance(n, ast.Name) and n.id in gone and loaded[n.id] == own[n.id] for n in names):
      yield inner
    root = _root(inner)
    if root in static and loaded[root] == changed[root] and _own(tree, root):
      yield inner
  for call in calls:
    root = _root(call)
    if root in static and loaded[root] == changed[root] and _own(tree, root) and _is_pure(call):
      yield call


def _only_sets(choice: ast.If) -> str | None:
  """The name that all branches of a condition set, where they do nothing else."""
  names: set[str] = set()
  for statement in [*choice.body, *choice.orelse]:
    if isinstance(statement, ast.Pass):
      continue
    if isinstance(statement, ast.If):
      inner = _only_sets(statement)
      if inner is None or not _is_pure(statement.test):
        return None
      names.add(inner)
      continue
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    if not isinstance(target, ast.Name) or not isinstance(statement, ast.Assign) or not _is_pure(statement.value):
      return None
    names.add(target.id)
  return names.pop() if len(names) == 1 else None


def _unused_imports(tree: ast.AST, original: set[str]) -> Iterator[ast.stmt]:
  """Imports of names that the method read and does not read any more."""
  loaded = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
  for node in ast.walk(tree):
    if isinstance(node, ast.Import | ast.ImportFrom):
      names = {(a.asname or a.name).partition(".")[0] for a in node.names}
      if names <= original and not names & loaded:
        yield node


def _root(node: ast.Assign | ast.AugAssign | ast.Expr) -> str | None:
  """The local whose attribute or item a statement sets, or that it changes by a method."""
  if isinstance(node, ast.Expr):
    method = node.value.func if isinstance(node.value, ast.Call) else None
    changes = isinstance(method, ast.Attribute) and isinstance(method.value, ast.Name) and method.attr in _CHANGES
    return method.value.id if changes else None  # pyright: ignore
  target: ast.AST = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
  inside = isinstance(target, ast.Attribute | ast.Subscript)
  while isinstance(target, ast.Attribute | ast.Subscript):
    target = target.value
  return target.id if inside and isinstance(target, ast.Name) else None


def _own(tree: ast.AST, name: str) -> bool:
  """Whether a name holds only objects made for it: nobody sees what changes in them."""
  made = [
    n.value
    for n in ast.walk(tree)
    if isinstance(n, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in n.targets)
  ]
  return bool(made) and all(
    isinstance(v, ast.Dict | ast.List) or (isinstance(v, ast.Call) and ast.unparse(v.func) in _COPIES) for v in made
  )


def _empty(tree: ast.AST, lines: list[str], kept: set[str]) -> tuple[int, int]:
  """First and last line of a condition, a loop or an `else` in which nothing happens; (0, -1) where there is none.

  Args:
    tree: the method as it is now.
    lines: its text.
    kept: conditions and loops as the method had them: they are its author's.
  """
  for node in ast.walk(tree):
    if not isinstance(node, ast.If | ast.For) or ast.unparse(node) in kept:
      continue
    span = (node.lineno - 2, (node.end_lineno or 0) - 2)
    if isinstance(node, ast.For) and (not _is_pure(node.iter) or _calls_next(node.iter)):
      continue
    if _passes(node.body) and (not node.orelse or _passes(node.orelse)):
      if not _remarks(lines[span[0] : span[1] + 1]):
        return span
    elif isinstance(node, ast.If) and _passes(node.orelse):
      start = (node.body[-1].end_lineno or 0) - 1
      if not _remarks(lines[start : span[1] + 1]) and lines[start].strip().startswith("else"):
        return start, span[1]
  return 0, -1


def _before(lines: list[str], tree: ast.Module, statement: ast.stmt) -> str:
  """What stands before a statement on its line: the indentation, or a header that it shares the line with."""
  first = next(s for s in tree.body[0].body)  # type: ignore[attr-defined]
  margin = len(lines[first.lineno - 2]) - len(lines[first.lineno - 2].lstrip()) - first.col_offset
  line = lines[statement.lineno - 2].encode()
  return line[: max(statement.col_offset + margin, 0)].decode()


def _passes(block: list[ast.stmt]) -> bool:
  return len(block) == 1 and isinstance(block[0], ast.Pass)


def _remarks(lines: list[str]) -> bool:
  return any("#" in line for line in lines)


def _calls_next(node: ast.AST) -> bool:
  return any(isinstance(n, ast.Name) and n.id in ("next", "iter") for n in ast.walk(node))


def _enclosing_block(tree: ast.AST, statement: ast.AST) -> list[ast.stmt] | None:
  for node in ast.walk(tree):
    for name in ("body", "orelse", "finalbody"):
      block = getattr(node, name, None)
      if isinstance(block, list) and statement in block:
        return block
  return None


def _calls_nothing(node: ast.AST) -> bool:
  """Whether an expression only puts names and constants together."""
  inside = {n for f in ast.walk(node) if isinstance(f, ast.Lambda) for n in ast.walk(f.body)}  # it is not run
  said = {n for f in ast.walk(node) if isinstance(f, ast.JoinedStr) for n in ast.walk(f)}
  for inner in ast.walk(node):
    if inner in inside:
      continue
    if isinstance(inner, ast.Call) and not (isinstance(inner.func, ast.Name) and inner.func.id in _COPIES):
      return False
    if isinstance(inner, ast.Compare) and all(isinstance(o, ast.Is | ast.IsNot) for o in inner.ops):
      continue
    if isinstance(inner, ast.BinOp | ast.Subscript | ast.Compare | ast.comprehension) and inner not in said:
      return False
  return _is_pure(node)


def _is_pure(node: ast.AST) -> bool:
  return not any(isinstance(n, ast.NamedExpr | ast.Await | ast.Yield) for n in ast.walk(node))
