"""Fields and constructors along the bases of a class."""

from __future__ import annotations

import ast
from typing import Any

from migrate.codemod.base_calls import super_method
from migrate.codemod.results import ClassResult
from migrate.codemod.site import SizeArg
from migrate.codemod.supers import builds_on_base
from migrate.codemod.unit import Unit

CONSTRUCTION = ("__post_init__", "setup")  # Linen methods that become `__init__`


def all_fields(unit: Unit) -> list[Any]:
  """Fields of the class and of its rewritten bases, in order, the nearest definition winning."""
  found: dict[str, Any] = {}
  for base in reversed(unit.info.cls.__mro__):
    info = unit.project.info(base)
    for field in info.fields if info is not None else ():
      found[field.name] = field
  return list(found.values())


def inherited_sizes(unit: Unit) -> list[SizeArg]:
  found: list[SizeArg] = []
  base = base_with_init(unit)
  return [s for s in base.sizes if s.name not in unit.super_sizes] if base is not None else found


def _calls_super_setup(unit: Unit) -> bool:
  setup = unit.info.methods.get("setup")
  return setup is not None and any(super_method(unit, n) == "setup" for n in ast.walk(setup))


def base_with_init(unit: Unit) -> ClassResult | None:
  """The nearest rewritten base whose `__init__` this class must run."""
  if "setup" in unit.info.methods and not _calls_super_setup(unit):
    return None
  for base in unit.info.cls.__mro__[1:]:
    result = unit.results.get(base)
    if result is not None and "def __init__(" in result.text:
      overridden = result.compact_sites and unit.info.compact_methods() and not builds_on_base(unit)
      return None if overridden and not _has_setup(unit, base) else result
  return None


def _has_setup(unit: Unit, base: type) -> bool:
  """Whether a base has a `setup`, whose layers a class has even where its compact method is another."""
  infos = (unit.project.info(b) for b in base.__mro__)
  return any(info is not None and "setup" in info.methods for info in infos)


def inherits_rngs(unit: Unit) -> bool:
  """Whether methods of a base read `self.rngs`, which this class's own `__init__` must set then."""
  bases = [unit.results[b].text for b in unit.info.cls.__mro__[1:] if b in unit.results]
  return base_with_init(unit) is None and any("self.rngs = rngs.fork()" in text for text in bases)


def assigned_by_bases(unit: Unit) -> set[str]:
  """Attributes that a base's `__init__` has assigned before this class's own statements run."""
  if base_with_init(unit) is None:
    return set()
  found: set[str] = set()
  for base in unit.info.cls.__mro__[1:]:
    info = unit.project.info(base)
    for method in (info.methods.get(n) for n in CONSTRUCTION) if info is not None else ():
      for node in ast.walk(method) if method is not None else ():
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
          found.add(node.attr)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "object.__setattr__" and len(node.args) == 3:
          if isinstance(node.args[1], ast.Constant):
            found.add(str(node.args[1].value))
  return found
