"""Docstrings of fields: a string below a field goes below the assignment that `__init__` has for it."""

from __future__ import annotations

import ast
import itertools
from typing import Any

from migrate.codemod.unit import Unit


def field_docs(unit: Unit) -> dict[str, ast.Expr]:
  """Field -> the string that stands right below it in the class body."""
  fields = {f.node: f.name for f in unit.info.fields if f.name not in unit.call_fields}
  body = unit.info.node.body
  found = {}
  for before, after in itertools.pairwise(body):
    if (
      isinstance(before, ast.AnnAssign)
      and before in fields
      and isinstance(after, ast.Expr)
      and isinstance(after.value, ast.Constant)
    ):
      if isinstance(after.value.value, str):
        found[fields[before]] = after
  return found


def with_docs(unit: Unit, assigned: list[tuple[Any, str]]) -> list[str]:
  """The statements that keep the fields, each with its docstring below.

  Args:
    unit: the class.
    assigned: fields with their statements.
  """
  docs, indent = field_docs(unit), unit.source.indent(unit.info.node) + unit.step
  lines = []
  for field, statement in assigned:
    lines.append(statement)
    if field.name in docs:
      lines += [line.removeprefix(indent) for line in unit.source.code(docs[field.name]).split("\n")]
  return lines
