"""Classes that make instances of themselves: what they need is known when they have been read once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from migrate.codemod.classes import rewrite_class
from migrate.codemod.makers import Makers
from migrate.codemod.project import ClassInfo, Project
from migrate.codemod.results import ClassResult
from migrate.codemod.unit import Unit

_ROUNDS = 3


def unit_of(makers: Makers, project: Project, info: ClassInfo, *known: Any) -> Unit:
  """A `Unit` that knows the functions which make layers."""
  unit = Unit(project, info, *known)
  unit.makers = makers
  return unit


def rewrite_settled(unit: Unit, anew: Callable[[], Unit]) -> tuple[Unit, ClassResult]:
  """Rewrites a class; once more with its own sizes known, where it makes itself (`Tree(self.depth - 1)`).

  Args:
    unit: the class.
    anew: gives another `Unit` of it.

  Raises:
    MigrateError: where something in it can't be rewritten.
    NotStatic: where something in it is known only in a call.
  """
  cls, results = unit.info.cls, unit.results
  result = rewrite_class(unit)
  try:
    for _ in range(_ROUNDS):
      known = [s.name for s in results[cls].sizes] if cls in results else []
      if not _makes_itself(unit) or known == [s.name for s in result.sizes]:
        break
      results[cls] = result
      unit = anew()
      result = rewrite_class(unit)
  finally:
    results.pop(cls, None)
  return unit, result


def _makes_itself(unit: Unit) -> bool:
  sites = [*unit.sites.values(), *unit.inner_sites, *unit.setup_sites]
  return any(unit.project.plain(type(m)) is unit.info.cls for s in sites for _, _, m in s.made)
