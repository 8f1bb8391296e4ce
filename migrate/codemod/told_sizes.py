"""Sizes that construction needs and that nothing tells: `width = y.shape[1]`, which an initializer divides by.

A class that can't be rewritten without them is read once more, and then they are arguments of its constructor.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.site import Site

if TYPE_CHECKING:
  from migrate.codemod.project import ClassInfo
  from migrate.codemod.unit import Unit


def tell_sizes(info: ClassInfo, needed: str, told: dict[type, set[str]]) -> bool:
  """Notes what a local that construction needs is made of; False where that changes nothing.

  Args:
    info: the class.
    needed: the local, as `NotStatic` names it.
    told: class -> locals that it is told from now on.
  """
  if not needed.isidentifier():
    return False
  found, before = {needed}, set(told.get(info.cls, ()))
  assigned = [n for m in info.methods.values() for n in ast.walk(m) if isinstance(n, ast.Assign)]
  for _ in assigned:
    found |= {
      n.id
      for a in assigned
      if isinstance(a.targets[0], ast.Name) and a.targets[0].id in found and not _measures(a.value)
      for n in ast.walk(a.value)
      if isinstance(n, ast.Name)
    }
  measured = {a.targets[0].id for a in assigned if isinstance(a.targets[0], ast.Name) and _measures(a.value)}
  told[info.cls] = before | (found & measured)
  return told[info.cls] != before


def told_size(unit: Unit, name: str, value: ast.expr) -> str | None:
  """The argument for an axis that a local is assigned; None for any other assignment."""
  told = unit.makers.told.get(unit.info.cls, ()) if unit.makers is not None else ()
  if name not in told or unit.loops or not isinstance(value, ast.Subscript):
    return None
  array = value.value.value if isinstance(value.value, ast.Attribute) else None
  events, arrays = unit.events(value), unit.array_events(array) if array is not None else None
  index = {e.value for e in unit.events(value.slice)} or {getattr(value.slice, "value", None)}
  if not isinstance(array, ast.Name) or not events or not arrays or any(type(e.value) is not int for e in events):
    return None
  ranks = {len(e.value.shape) for e in arrays}
  axis = next(iter(index))
  if len(ranks) != 1 or len(index) != 1 or type(axis) is not int:
    return None
  rank = next(iter(ranks))
  wished = unit.size_name(array.id, axis % rank, rank)
  site = Site(name, ast.Call(value, [], []), [(e.activation, 0, e.activation.module) for e in events], None)
  text = unit.hoist(site, "size", [e.value for e in events], wished)
  dims = unit.dims(array)
  if dims is not None and axis < len(dims):
    dims[axis].append(text)  # the layers after it get it too
  return text


def _measures(value: ast.expr) -> bool:
  shape = value.value if isinstance(value, ast.Subscript) else None
  return isinstance(shape, ast.Attribute) and shape.attr == "shape"
