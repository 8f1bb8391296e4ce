"""Items of a field of numbers, by the name that the comprehension over the field has for them.

`[nn.LayerNorm() for _ in self.sizes]` becomes `[nnx.LayerNorm(n, rngs=rngs) for n in self.sizes]`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from migrate.codemod.site import Site

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def items_of_field(unit: Unit, site: Site, values: list[Any]) -> str | None:
  """For a list of layers, the field of numbers whose items are their sizes, one by one."""
  if not site.looped or not site.attr or unit.iterator or any(v is None for v in values):
    return None
  runs: dict[int, tuple[Any, list[Any]]] = {}
  for (activation, _, _), value in zip(site.made, values, strict=True):
    runs.setdefault(id(activation), (activation.module, []))[1].append(value)
  for name in unit.field_names if runs else ():
    found = [(getattr(m, name, None), v) for m, v in runs.values()]
    fits = all(isinstance(f, tuple | list) and list(f) == v for f, v in found)
    if name in unit.readable and fits and any(len(v) > 1 for _, v in found):
      return f"self.{name}[len(self.{site.attr})]"
  return None


def name_items(unit: Unit, sites: list[Site], target: str, iterable: str) -> str:
  """Puts the name of the item into the sizes of a comprehension's layers, and returns the comprehension's target."""
  counted = re.fullmatch(r"range\(len\((.+)\)\)", iterable)
  numbered = re.fullmatch(r"enumerate\(([\w.]+)\)", iterable)
  around = counted or numbered
  field = around.group(1) if around else iterable
  place = f"{field}[len(self.{sites[0].attr})]"
  sized = [s for s in sites if any(place in t for t in s.texts.values())]
  item = target.strip("()").rpartition(",")[2].strip() if numbered else target
  if not sized or not item.isidentifier():
    return target
  name = item if item.strip("_") else _free_name(unit, sites, iterable)
  for site in sized:
    text = f"{field}[{name}]" if counted else name
    site.texts = {parameter: t.replace(place, text) for parameter, t in site.texts.items()}
  return target if name == item else re.sub(r"\b_+\b(?!.*\b_+\b)", name, target)


def _free_name(unit: Unit, sites: list[Site], iterable: str) -> str:
  """What another comprehension over the same items calls them, or a usual name that nothing here has."""
  if iterable.startswith("range("):
    return "i"
  others = [target for _, target, over, _ in unit.comprehensions if over == iterable and target.isidentifier()]
  said = {name for site in sites for name in site.names} | set(unit.hoists) | set(unit.field_names)
  found = [name for name in (*others, "size", "width", "features") if name.strip("_") and name not in said]
  return found[0] if found else "item"
