"""Sizes of a list's layers whose input is joined from two arrays: the skips of a U-Net, the layers before of a dense block."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from migrate.codemod.guesses import counts_to, differ
from migrate.codemod.put_together import JOINS
from migrate.codemod.site import Need, Site
from migrate.codemod.sizes import likeness

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def joined_size(unit: Unit, site: Site, values: list[Any], need: Need) -> str | None:
  """What comes into every layer of a list of `setup` that is given what several layers made; None for any other.

  Args:
    unit: the class.
    site: the layers.
    values: the size of each, at several sizes of the model.
    need: what the size is for.

  Returns:
    Twice what the layer is made with (`2 * f`), that and what the one before gives (`ups_features + f`), or all that
    those before gave.
  """
  if site not in unit.setup_sites or not differ(values) or any(type(v) is not int for v in values):
    return None
  if site.chain is not None or not joins(unit):
    return None
  for name, text in site.arguments.items():
    own: list[Any] = [getattr(m, name, None) for _, _, m in site.made]
    if likeness(name) < 2 or any(type(v) is not int for v in own) or not unit.readable_at(site, text):
      continue
    if differ(own) and counts_to(unit.info.node, 2) and values == [2 * v for v in own]:
      return f"2 * {text}"
    rest = [v - o for v, o in zip(values, own, strict=True)]
    if differ(own) and differ(rest) and counts_to(unit.info.node, 2) and min(rest) > 0:
      chain = unit._chain(site, rest, need)
      if chain is not None:
        return f"{chain} + {text}"
  return unit._chain(site, values, need, grows=True)


def joins(unit: Unit) -> bool:
  """Whether a method of the class joins arrays."""
  calls = (n for m in unit.info.methods.values() for n in ast.walk(m) if isinstance(n, ast.Call))
  return any((unit.resolve(c.func) or "").rpartition(".")[2] in JOINS for c in calls)
