"""Attributes that `setup` reads, or is going to read, and that the class itself does not have at that place."""

from __future__ import annotations

import ast
import inspect
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
  return bool(made) and all(inspect.isfunction(getattr(cls, node.attr, None)) for cls in made)
