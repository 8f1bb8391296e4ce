"""Attributes of `setup` that hold NumPy arrays, whose values Linen knows in every call."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from migrate.codemod.project import has_array, holds_modules
from migrate.trace.facts import ArraySpec

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_MAKERS = ("setup", "__post_init__")


def host_attributes(unit: Unit) -> set[str]:
  """Names that are only ever assigned NumPy arrays, by the class or its bases, one target a statement."""
  found: dict[str, bool] = {}
  for base in unit.info.cls.__mro__:
    info = unit.project.info(base)
    for name in _MAKERS if info is not None else ():
      method = info.methods.get(name)  # pyright: ignore
      for node in ast.walk(method) if method is not None else ():
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store | ast.Del):
          continue
        statement = info.source.parents.get(node)  # pyright: ignore
        plain = isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None
        plain = plain and not isinstance(statement.value, ast.Constant)  # pyright: ignore
        events = unit.project.events(info.source, statement.value) if plain else []  # pyright: ignore
        good = plain and all(isinstance(e.value, ArraySpec) and e.value.host for e in events)
        if not good or events:
          found[node.attr] = good and found.get(node.attr, True)
  return {name for name, good in found.items() if good}


def on_host(unit: Unit, targets: list[ast.expr], text: str) -> str:
  """What such an attribute is assigned: NNX would take the bare array for state."""
  if any(isinstance(t, ast.Attribute) and t.attr in unit.host_attributes for t in targets):
    return f"{unit.template('template:host_array.HostArray')}({text})"
  return text


def holds_plain_arrays(value: Any) -> bool:
  """Whether a tuple, list or dict of Python's own holds arrays, themselves or in others of its kind, and no modules."""
  return type(value) in (tuple, list, dict) and has_array(value) and not holds_modules(value)
