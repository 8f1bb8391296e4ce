"""Interfaces among the bases of a class: protocols, abstract methods."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

from migrate.codemod.inheritance import all_fields
from migrate.codemod.site import follow_name

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def is_empty_protocol(unit: Unit, base: ast.expr) -> bool:
  """Whether a base is a protocol without code: NNX modules can't extend one, and meet it all the same."""
  full = unit.resolve(base.value if isinstance(base, ast.Subscript) else base)
  found = follow_name(full) if full is not None else None
  if not isinstance(found, type) or not getattr(found, "_is_protocol", False):
    return False
  own = [
    b
    for b in found.__mro__
    if getattr(b, "_is_protocol", False) and b.__module__ not in ("typing", "typing_extensions")
  ]
  return all(
    _is_stub(v) for b in own for v in vars(b).values() if inspect.isfunction(v) and v.__module__ == b.__module__
  )


def _is_stub(function: Any) -> bool:
  """Whether a function does nothing."""
  if function.__name__ in ("__subclasshook__", "_no_init_or_replace_init", "_proto_hook"):
    return True
  try:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
  except (OSError, SyntaxError):
    return False
  body = tree.body[0].body if isinstance(tree.body[0], ast.FunctionDef | ast.AsyncFunctionDef) else []
  return bool(body) and all(
    isinstance(s, ast.Pass | ast.Raise) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)) for s in body
  )


def asks_for_nothing(unit: Unit, node: ast.FunctionDef, decorator: ast.expr) -> bool:
  """Whether `@abstractmethod` stood on a method that modules do without: Linen does not insist on it, NNX does."""
  if unit.resolve(decorator) not in ("abc.abstractmethod", "abc.abstractproperty"):
    return False
  mine = vars(unit.info.cls).get(node.name)
  made = {type(c.module) for f in unit.project.facts for c in f.calls if isinstance(c.module, unit.info.cls)}
  return any(inspect.getattr_static(cls, node.name, None) is mine for cls in made)


def hiding_fields(unit: Unit) -> set[str]:
  """Fields that the class itself keeps: those that stand for a property or an abstract method of a base, or are read from it."""
  found = set()
  for field in unit.info.fields:
    for base in unit.info.cls.__mro__[1:]:
      hidden = vars(base).get(field.name)
      # a property that Linen has wrapped is one of another type
      if hasattr(type(hidden), "__set__") or getattr(hidden, "__isabstractmethod__", False):
        found.add(field.name)
    if field.name in vars(unit.info.cls) and _read_from_class(unit, field.name):
      found.add(field.name)
  return found & {f.name for f in all_fields(unit)}


def _read_from_class(unit: Unit, name: str) -> bool:
  """Whether code of the project reads a field's default from the class (`layer = Dense; layer.init_fn`)."""
  for source in {i.source.path: i.source for i in unit.project.classes.values()}.values():
    for node in ast.walk(source.tree):
      if not isinstance(node, ast.Attribute) or node.attr != name or not isinstance(node.ctx, ast.Load):
        continue
      owners = [e.value for e in unit.project.events(source, node.value)]
      if any(isinstance(o, type) and issubclass(o, unit.info.cls) for o in owners):
        return True
      if isinstance(node.value, ast.Name) and node.value.id == unit.info.name:
        return True
  return False
