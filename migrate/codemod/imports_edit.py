"""Adds and removes import statements and leaves every other byte of a file alone."""

from __future__ import annotations

import ast
import dataclasses
import sys

from migrate.codemod.imports_uses import exported_names, read_names, type_comment_names

_PLACEHOLDERS = ("__templates__", "__variables__")  # modules of the ported package, named later


@dataclasses.dataclass(frozen=True)
class Edit:
  """Replaces the bytes `start:end` of a file."""

  start: int
  end: int
  text: bytes


class Positions:
  """Byte offsets of the lines and nodes of a source; `ast` counts columns in UTF-8 bytes."""

  def __init__(self, data: bytes):
    self.data = data
    self.starts = [0]
    for line in data.splitlines(keepends=True):
      self.starts.append(self.starts[-1] + len(line))

  def start(self, node: ast.stmt | ast.expr | ast.alias) -> int:
    """Offset of the node's first byte."""
    return self.starts[node.lineno - 1] + node.col_offset

  def end(self, node: ast.stmt | ast.expr | ast.alias) -> int:
    """Offset after the node's last byte."""
    assert node.end_lineno is not None
    return self.starts[node.end_lineno - 1] + (node.end_col_offset or 0)

  def line_start(self, lineno: int) -> int:
    """Offset of a line, counted from 1."""
    return self.starts[min(lineno - 1, len(self.starts) - 1)]


def apply_edits(data: bytes, edits: list[Edit], start: int = 0, end: int | None = None) -> bytes:
  """The bytes `start:end` with the edits that lie inside applied. Edits must not overlap."""
  end = len(data) if end is None else end
  out, at = [], start
  for edit in sorted((e for e in edits if start <= e.start and e.end <= end), key=lambda e: (e.start, e.end)):
    out += [data[at : edit.start], edit.text]
    at = edit.end
  return b"".join((*out, data[at:end]))


def tidy_imports(source: str, *, add: list[str], remove_if_unused: set[str], own: str = "") -> str:
  """Adds import statements once each and drops imported names that nothing uses any more.

  Args:
    source: a file that parses.
    add: statements such as `from flax import nnx`, one import each; what the file already has is not added again.
    remove_if_unused: names as bound in the file (`nn` of `import flax.linen as nn`) whose imports may go.
      A name stays while code, an annotation in a string, a type comment or `__all__` uses it. What a `try` consists of stays.
    own: the top-level package of the file, whose imports come last.

  Returns:
    The file; every line that is not an import concerned is byte for byte the same.
  """
  mark = "\ufeff" if source.startswith("\ufeff") else ""
  data = source[len(mark) :].encode()
  tree = ast.parse(data)
  newline = b"\r\n" if b"\r\n" in data else b"\n"
  positions = Positions(data)
  edits = _removals(tree, data, positions, remove_if_unused)
  inserted: dict[int, list[tuple[tuple, bytes, bytes, bytes]]] = {}
  missing = [s for s in dict.fromkeys(s.strip() for s in add) if not _present(tree, s)]
  for statement in _joined(missing):
    at, before, after = _place(tree, data, positions, statement, own)
    line = statement.encode().replace(b"\n", newline) + newline
    inserted.setdefault(at, []).append((_sort_key(statement, own), before, line, after))
  for at, lines in inserted.items():
    body = _sections(sorted(lines), newline, first=not at)
    if at == len(data) and data and not data.endswith((b"\n", b"\r")):
      body = newline + body
    edits.append(Edit(at, at, body))
  return mark + apply_edits(data, edits).decode()


def _sections(lines: list[tuple[tuple, bytes, bytes, bytes]], newline: bytes, first: bool) -> bytes:
  """Imports that go to one place: (sort key, newline before, statement, newline after), a blank line between sections."""
  body = b""
  for i, (key, before, line, _) in enumerate(lines):
    opens = not i or lines[i - 1][0][0] != key[0]
    if opens and ((i and lines[i - 1][3]) or (before and not (first and not i))):
      body += newline
    body += line
  return body + (newline if lines[-1][3] else b"")


def _joined(statements: list[str]) -> list[str]:
  """The statements, those that import from one module made one."""
  names: dict[str, list[str]] = {}
  for statement in statements:
    head, _, what = statement.partition(" import ")
    names.setdefault(head if statement.startswith("from ") else statement, []).append(what)
  found = []
  for head, what in names.items():
    found.append(f"{head} import {', '.join(sorted(what))}" if head.startswith("from ") else head)
  return found


def used_names(tree: ast.Module, text: str) -> set[str]:
  """Every module-level name that the file reads, or exports in `__all__`, or mentions in a type comment."""
  return read_names(tree.body) | set(exported_names(tree.body)) | type_comment_names(text)


def _removals(tree: ast.Module, data: bytes, positions: Positions, names: set[str]) -> list[Edit]:
  if not names:
    return []
  used = used_names(tree, data.decode())
  gone = names - used - {"*"}  # nobody reads a star by its name
  edits: list[Edit] = []
  _remove_in(tree.body, gone, data, positions, edits, top=True)
  return edits


def _remove_in(body: list[ast.stmt], gone: set[str], data: bytes, at: Positions, edits: list[Edit], top: bool) -> bool:
  """Plans removals in a block. Returns whether the whole block would be empty."""
  whole: list[ast.stmt] = []
  for node in body:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
      dead = [a for a in node.names if (a.asname or a.name.partition(".")[0]) in gone]
      if _module_of(node) == "__future__":
        continue
      if len(dead) == len(node.names):
        whole.append(node)
      elif dead:
        edits += drop_aliases(node, dead, data, at)
    elif isinstance(node, ast.If) and not node.orelse:
      inner: list[Edit] = []
      if _remove_in(node.body, gone, data, at, inner, top=False):
        whole.append(node)
      else:
        edits += inner
    elif isinstance(node, ast.Try):  # an optional dependency: something must be left to try
      inner = []
      if not _remove_in(node.body, gone, data, at, inner, top=False):
        edits += inner
  if not top and len(whole) == len(body):
    return True
  edits += [remove_statement(node, data, at) for node in whole]
  return False


def remove_statement(node: ast.stmt, data: bytes, at: Positions) -> Edit:
  """Drops a statement with its lines, or itself alone where it shares a line with another."""
  start, end = at.start(node), at.end(node)
  first, last = at.line_start(node.lineno), at.line_start((node.end_lineno or node.lineno) + 1)
  before, rest = data[first:start], data[end:last].strip()
  if not before.strip() and (not rest or rest.startswith(b"#")):
    return Edit(first, last, b"")
  if rest.startswith(b";"):
    skip = data.index(b";", end) + 1
    while data[skip : skip + 1] == b" ":
      skip += 1
    return Edit(start, skip, b"")
  back = start
  while data[back - 1 : back] in (b" ", b";"):
    back -= 1
  return Edit(back, end, b"")


def drop_aliases(node: ast.Import | ast.ImportFrom, dead: list[ast.alias], data: bytes, at: Positions) -> list[Edit]:
  """Drops some names of an import, with the commas; names that fill a line go with their line."""
  edits: list[Edit] = []
  index = 0
  while index < len(node.names):
    if node.names[index] not in dead:
      index += 1
      continue
    stop = index
    for alias in node.names[index + 1 :]:
      if alias not in dead or alias.lineno != node.names[index].lineno:
        break
      stop += 1
    edits.append(_drop_run(node, index, stop, data, at))
    index = stop + 1
  return edits


def _drop_run(node: ast.Import | ast.ImportFrom, index: int, stop: int, data: bytes, at: Positions) -> Edit:
  """Drops `names[index:stop + 1]`, which share a line."""
  names, line = node.names, node.names[index].lineno
  start, end = at.start(names[index]), at.end(names[stop])
  if stop + 1 < len(names) and names[stop + 1].lineno == line:
    return Edit(start, at.start(names[stop + 1]), b"")
  if index and names[index - 1].lineno == line:
    return Edit(at.end(names[index - 1]), end, b"")
  first, last = at.line_start(line), at.line_start(line + 1)
  rest = data[end:last].strip()
  rest = rest[1:].strip() if rest.startswith(b",") else rest
  if not data[first:start].strip() and (not rest or rest.startswith(b"#")):
    return Edit(first, last, b"")
  if stop + 1 < len(names):
    return Edit(start, at.start(names[stop + 1]), b"")
  between = data[at.end(names[index - 1]) : start]
  return Edit(start if b"#" in between else at.end(names[index - 1]), end, b"")


def _present(tree: ast.Module, statement: str) -> bool:
  wanted = ast.parse(statement).body[0]
  assert isinstance(wanted, (ast.Import, ast.ImportFrom))
  need = {_alias_key(wanted, a) for a in wanted.names}
  for node in tree.body:
    if type(node) is type(wanted):
      assert isinstance(node, (ast.Import, ast.ImportFrom))
      need -= {_alias_key(node, a) for a in node.names}
  return not need


def _alias_key(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> tuple:
  local = alias.asname if alias.asname != alias.name else None
  return (getattr(node, "module", None), getattr(node, "level", 0), alias.name, local)


def _module_of(node: ast.Import | ast.ImportFrom) -> str:
  return "." * node.level + (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name


def _section(module: str, own: str) -> int:
  if module == "__future__":
    return 0
  if module.startswith((".", *_PLACEHOLDERS)) or (own and module.partition(".")[0] == own):
    return 3
  return 1 if module.partition(".")[0] in sys.stdlib_module_names else 2


def _sort_key(statement: str, own: str) -> tuple:
  node = ast.parse(statement).body[0]
  assert isinstance(node, (ast.Import, ast.ImportFrom))
  return _key(node, own)


def _key(node: ast.Import | ast.ImportFrom, own: str) -> tuple:
  module = _module_of(node)
  is_from = isinstance(node, ast.ImportFrom)
  return (_section(module, own), module.partition(".")[0].lower(), is_from, module.lower(), node.names[0].name.lower())


def _place(tree: ast.Module, data: bytes, at: Positions, statement: str, own: str) -> tuple[int, bytes, bytes]:
  """Offset where a new import goes, and the newlines before and after it (as `\\n`)."""
  new = ast.parse(statement).body[0]
  assert isinstance(new, (ast.Import, ast.ImportFrom))
  block: list[ast.Import | ast.ImportFrom] = []
  for node in tree.body:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
      break
    if isinstance(node, (ast.Import, ast.ImportFrom)):
      block.append(node)
  section = _section(_module_of(new), own)
  real = [n for n in block if _module_of(n) != "__future__"]
  if not real:
    return _place_first(tree, at, block)
  same = [n for n in real if _section(_module_of(n), own) == section]
  near = [n for n in same if _module_of(n).partition(".")[0] == _module_of(new).partition(".")[0]] or same
  if near:
    smaller = [n for n in near if _key(n, own) <= _key(new, own)]
    if smaller:
      return at.line_start((smaller[-1].end_lineno or 0) + 1), b"", b""
    return at.line_start(near[0].lineno), b"", b""
  earlier = [n for n in real if _section(_module_of(n), own) < section]
  if earlier:
    return at.line_start((earlier[-1].end_lineno or 0) + 1), b"\n", b""
  return at.line_start(real[0].lineno), b"", b"\n"


def _place_first(tree: ast.Module, at: Positions, block: list[ast.Import | ast.ImportFrom]) -> tuple[int, bytes, bytes]:
  """The place of the first import of a file: after `__future__`, the docstring, or the header comment."""
  if block:
    return at.line_start((block[-1].end_lineno or 0) + 1), b"\n", b""
  body = tree.body
  if ast.get_docstring(tree, clean=False) is not None:
    return at.line_start((body[0].end_lineno or 0) + 1), b"\n", b""
  if not body:
    return len(at.data), b"", b""
  line = min([body[0].lineno, *(d.lineno for d in getattr(body[0], "decorator_list", ()))])
  # comments right above the first statement are its own, unless they open the file
  above = line - 1
  while above > 0 and at.data[at.line_start(above) : at.line_start(above + 1)].lstrip().startswith(b"#"):
    above -= 1
  return at.line_start(above + 1 if above > 0 else line), b"", b"\n"
