"""Compact methods that build on those of a base: `super().__call__(x)` runs the layers that the base's `__init__` makes."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from migrate.codemod.base_calls import given_to_base, super_method
from migrate.codemod.method_sizes import given_arguments
from migrate.codemod.results import ClassResult
from migrate.codemod.scope import Dims
from migrate.codemod.site import Site
from migrate.codemod.sizes_pool import closed, wrap
from migrate.codemod.source import names_in

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def builds_on_base(unit: Unit) -> bool:
  """Whether a compact method of the class calls one of a base."""
  compact = [unit.info.methods[n] for n in unit.info.compact_methods()]
  return any(super_method(unit, n) is not None for method in compact for n in ast.walk(method))


def base_attributes(base: ClassResult) -> set[str]:
  """Attributes that a rewritten base's methods assign."""
  return set(re.findall(r"\bself\.(\w+)(?:\s*:[^=\n]+)?\s*=(?!=)", base.text))


class Supers:
  """What a class tells its base's `__init__`, mixed into `Unit` as a part of `Sizes`."""

  def learn_super(self: Unit, node: ast.Call) -> None:
    """Keeps what a call of a base's method tells about the sizes that the base must be given."""
    method, base = super_method(self, node), self._result_of_base()
    definition = base.info.methods.get(method) if base is not None and method is not None else None
    if base is None or definition is None or not builds_on_base(self):
      return
    runs = self.project.activations.get((self.source.path, f"{self.info.name}.{self.method}"), [])
    made = [(a, 0, a.module) for a in {self.owner_key(a): a for a in runs if a.initializing}.values()]
    site = Site("", node, made, None)
    given = given_arguments(given_to_base(self, node), definition)
    for size in base.sizes:
      value = given.get(size.parameter or "")
      dims = self.dims(value) if value is not None and size.method == method else None
      if not dims or size.axis > len(dims):
        continue
      values = [size.values.get(self.owner_key(a)) for a, _, _ in made]
      found = [c for c in dims[-size.axis] if closed(c) and self.holds(site, c, values)]
      if found:
        self.super_sizes[size.name] = found[0]

  def super_result(self: Unit, node: ast.AST, item: str = "") -> Dims | None:
    """Axes of what `super().method(...)` returns, or of an item of that."""
    method, base = super_method(self, node), self._result_of_base()
    known = base.outputs.get(f"{method}{item}") if base is not None and method is not None else None
    if base is None or known is None:
      return None
    sizes = {s.name: self.super_sizes.get(s.name) for s in base.sizes}

    def here(text: str) -> str | None:
      for name in names_in(text) - {"self"}:
        value = sizes.get(name)
        if value is None:
          return None
        text = re.sub(rf"\b{name}\b", lambda _, v=value: wrap(v), text)
      return text

    return [[t for c in axis if (t := here(c)) is not None and self.available(t)] for axis in known]

  def _result_of_base(self: Unit) -> ClassResult | None:
    found = (self.results.get(b) for b in self.info.cls.__mro__[1:])
    return next((r for r in found if r is not None and "def __init__(" in r.text), None)
