"""Attributes that `setup` reads, or is going to read, and that the class itself does not have at that place."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def is_there_when_read(unit: Unit, node: ast.Attribute) -> bool:
  """Whether `self.name` has its value when the expression is evaluated: in a lambda, or as a method that subclasses have."""
  if not unit.in_setup:
    return False
  if any(isinstance(n, ast.Lambda) for n in unit.source.enclosing(node)):
    return True  # read by a call, after construction
  made = {type(c.module) for f in unit.project.facts for c in f.calls if isinstance(c.module, unit.info.cls)}
  if made and not unit.events(node) and all(_has_never(cls, node.attr) for cls in made):
    return True  # no example comes here, and whoever does gets Linen's AttributeError
  return bool(made) and all(inspect.isfunction(getattr(cls, node.attr, None)) for cls in made)


def _has_never(cls: type, name: str) -> bool:
  """Whether neither a class nor a base of its declares or assigns an attribute, as where its name was mistyped."""
  if hasattr(cls, name) or name in getattr(cls, "__dataclass_fields__", {}):
    return False
  for base in cls.__mro__:
    if base is object or base.__module__.startswith("flax."):
      continue
    try:
      tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
    except (OSError, TypeError, SyntaxError):
      return False
    stored = (n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store))
    if name in stored or any(isinstance(n, ast.Constant) and n.value == name for n in ast.walk(tree)):
      return False
  return True
