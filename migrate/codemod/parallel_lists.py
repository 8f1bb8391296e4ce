"""Sizes of lists of `setup` from the layers made before them: the one before the first, and those of a list beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from migrate.codemod.guesses import differ

if TYPE_CHECKING:
  from migrate.codemod.site import Site
  from migrate.codemod.unit import Unit
  from migrate.trace.facts import Activation


def of_other_list(unit: Unit, site: Site, values: list[Any]) -> str | None:
  """What the layer of the same number in a list made before gives; None where no list fits every time.

  Args:
    unit: the class.
    site: the layers, which `setup` makes.
    values: the size of each; several different ones, as one number fits by chance.
  """
  if site not in unit.setup_sites or not site.listed or not site.attr or not differ(values):
    return None
  owners = [unit.owner_key(a) for a, _, _ in site.made]
  for other in reversed(unit.setup_sites):
    if other is site or not other.listed or not other.attr or other.node.lineno >= site.node.lineno:
      continue
    gives = [unit.project.output_features(m) for _, _, m in other.made]
    if gives == values and [unit.owner_key(a) for a, _, _ in other.made] == owners:
      name = _attribute(unit, other)
      return f"self.{other.attr}[len(self.{site.attr})].{name}" if name is not None else None
  return None


def before_list(unit: Unit, site: Site, firsts: Sequence[tuple[Activation, Any]]) -> str | None:
  """What a layer made before a list gives, where the first layer of the list takes as much every time.

  Args:
    unit: the class.
    site: the layers of the list, which `setup` makes.
    firsts: where each list was made, and the size of its first layer.
  """
  if site not in unit.setup_sites:
    return None
  for other, text in reversed(unit.produced):
    if other is site or other not in unit.setup_sites or other.listed or other.node.lineno >= site.node.lineno:
      continue
    gives = {unit.owner_key(a): unit.project.output_features(m) for a, _, m in other.made}
    if all(gives.get(unit.owner_key(a)) == size for a, size in firsts):
      if unit.readable_at(site, text) and unit._still_named(site, other, text):
        return text
  return None


def _attribute(unit: Unit, site: Site) -> str | None:
  """Where a layer keeps how many features it gives."""
  if site.record is not None:
    return next((a.nnx or a.linen for a in site.record.args if a.linen == "features"), None)
  classes = {type(m) for _, _, m in site.made}
  result = unit.results.get(next(iter(classes))) if len(classes) == 1 else None
  dims = result.outputs.get("__call__") if result is not None else None
  fields = {f.name for f in result.info.fields} if result is not None else set()
  told = (re.fullmatch(r"self\.(\w+)", c) for c in (dims[-1] if dims else ()))
  return next((found[1] for found in told if found is not None and found[1] in fields), None)
