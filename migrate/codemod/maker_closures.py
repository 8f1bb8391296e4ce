"""Functions that make layers and that another function defines: `def head(width): return lambda: nn.Dense(width)`.

The function around them stays, with the new definition in it: what it knows, they know at construction.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING

from migrate.codemod.imports_edit import Edit, apply_edits
from migrate.codemod.maker_nodes import Definition, find_definition
from migrate.codemod.methods import method_header
from migrate.codemod.source import Source

if TYPE_CHECKING:
  from migrate.codemod.makers import Maker
  from migrate.codemod.unit import Unit


def is_closure(source: Source, qualname: str, line: int) -> bool:
  """Whether a function outside every class defines the function of that name."""
  node = find_definition(source, qualname.rpartition(".")[2], line) if "<locals>" in qualname else None
  return node is not None and not any(isinstance(n, ast.ClassDef) for n in source.enclosing(node))


def names_around(source: Source, node: Definition) -> set[str]:
  """Names that the functions around a definition bind."""
  found: set[str] = set()
  for outer in source.enclosing(node):
    if isinstance(outer, ast.FunctionDef | ast.Lambda):
      found |= {a.arg for a in ast.walk(outer.args) if isinstance(a, ast.arg)}
      found |= {n.id for n in ast.walk(outer) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
      found |= {n.name for n in ast.walk(outer) if isinstance(n, ast.FunctionDef) and n is not outer}
  return found


def is_handed_out(source: Source, node: Definition) -> bool:
  """Whether the function around a definition returns it, so that calling it gives the definition again."""
  outer = next((n for n in source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
  returned = [n.value for n in ast.walk(outer) if isinstance(n, ast.Return)] if outer is not None else []
  own = node.name if isinstance(node, ast.FunctionDef) else None
  return any(v is node or (isinstance(v, ast.Name) and v.id == own) for v in returned)


def around_makers(unit: Unit, node: ast.FunctionDef, makers: Sequence[Maker]) -> str:
  """The function with those inside it that make layers rewritten."""
  source = unit.source
  if source.shares_line(node.body[0]):
    return _with_new(source, node, makers)
  text = method_header(unit, node, [])
  for statement in node.body:
    text += "".join(source.lines[source.lead(statement) - 1 : source.first_line(statement) - 1])
    inside = [m for m in makers if statement is m.node or statement in source.enclosing(m.node)]
    if not inside:
      text += unit.own_lines(statement, unit.compose(statement, unit.text))
      continue
    text += _with_new(source, statement, inside)
  return text


def _with_new(source: Source, statement: ast.stmt, makers: Sequence[Maker]) -> str:
  """The lines of a statement as they are, but for the functions that make layers."""
  start = source.offset(source.first_line(statement), 0)
  data = source.data[start : source.offset((statement.end_lineno or 0) + 1, 0)]
  edits = []
  for maker in makers:
    a, b = source.span(maker.node)
    own = maker.text
    if isinstance(maker.node, ast.FunctionDef):
      a, own = source.offset(source.first_line(maker.node), 0), own.rstrip("\n")
    edits.append(Edit(a - start, b - start, own.encode()))
  return apply_edits(data, edits).decode()


def text_of(makers: Sequence[Maker], function: types.FunctionType) -> str | None:
  """The new definition of a function that a field holds, if it makes layers."""
  code = function.__code__
  for maker in makers:
    name = maker.node.name if isinstance(maker.node, ast.FunctionDef) else "<lambda>"
    if (maker.source.path, name) == (code.co_filename, code.co_name):
      if find_definition(maker.source, name, code.co_firstlineno) is maker.node:
        return maker.text
  return None
