"""Calls that answer from where they are made, not from their arguments: `shape("d")` under a decorator that checks."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from migrate.codemod.names import lookup
from migrate.codemod.opened import is_opened

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def needs_context(unit: Unit, node: ast.Call) -> bool:
  """Whether a call means nothing in `__init__`: a function of constants that gave sizes in the trace gives others there."""
  if is_opened(unit, node):
    return True
  given = [*node.args, *[k.value for k in node.keywords]]
  if not all(isinstance(a, ast.Constant) for a in given) or any(k.arg is None for k in node.keywords):
    return False
  values = [e.value for e in unit.events(node)]
  if not values or not all(_sizes(v) for v in values):
    return False
  full = unit.resolve(node.func)
  function = lookup(full) if full else None
  if not callable(function) or isinstance(function, type):
    return False
  arguments = [a.value for a in node.args if isinstance(a, ast.Constant)]
  named = {k.arg: k.value.value for k in node.keywords if k.arg and isinstance(k.value, ast.Constant)}
  try:
    found = function(*arguments, **named)
  except Exception:  # whatever a stranger's function raises
    return True
  return any(found != v for v in values)


def _sizes(value: Any) -> bool:
  parts = value if isinstance(value, tuple) else (value,)
  return bool(parts) and all(type(p) is int for p in parts)
