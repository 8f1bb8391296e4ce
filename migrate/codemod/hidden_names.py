"""Functions and constants of a file that a field has the name of: the argument of `__init__` would hide them there."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def apart(unit: Unit, text: str) -> str:
  """A name of the file as `__init__` reads it: another one where an argument has it.

  Args:
    unit: the class.
    text: a dotted name.
  """
  root, dot, rest = text.partition(".")
  if root not in unit.field_names or unit.source is not unit.own_source or not _above(unit, root):
    return text
  unit.hidden.add(root)
  return f"{_other(root)}{dot}{rest}"


def with_other_names(unit: Unit, text: str) -> str:
  """The class below the other names that it reads."""
  read = [n for n in sorted(unit.hidden) if re.search(rf"(?<![\w.]){_other(n)}\b", text)]
  lines = [f"{_other(n)} = {n}  # `{unit.info.name}` has a field of the same name\n" for n in read]
  return "".join(lines) + "\n\n" * bool(lines) + text


def _other(name: str) -> str:
  return f"_{name}"


def _above(unit: Unit, name: str) -> bool:
  """Whether the file binds a name above the class, which stands at its top level, and has not taken the other name."""
  body = unit.source.tree.body
  if unit.info.node not in body or re.search(rf"\b{_other(name)}\b", unit.source.text):
    return False
  found = [n for s in body[: body.index(unit.info.node)] for n in _bound(s)]  # pyright: ignore
  return name in found


def _bound(statement: ast.stmt) -> list[str]:
  if isinstance(statement, ast.FunctionDef | ast.ClassDef):
    return [statement.name]
  if isinstance(statement, ast.Import | ast.ImportFrom):
    return [(a.asname or a.name).partition(".")[0] for a in statement.names]
  return [n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
