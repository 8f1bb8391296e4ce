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
      if isinstance(a.targets[0], ast.Name) and a.targets[0].id in found and not _is_measure(a.value)
      for n in ast.walk(a.value)
      if isinstance(n, ast.Name)
    }
  measured = {a.targets[0].id for a in assigned if isinstance(a.targets[0], ast.Name) and _measures(a.value)}
  told[info.cls] = before | (found & measured)
  return told[info.cls] != before


def told_size(unit: Unit, name: str, value: ast.expr) -> str | None:
  """What a local is assigned, over arguments for the axes in it that nothing tells; None for any other assignment."""
  told = unit.makers.told.get(unit.info.cls, ()) if unit.makers is not None else ()
  if name not in told or unit.loops:
    return None
  if isinstance(value, ast.Subscript):
    return _argument(unit, name, value)
  for measure in _measures(value):
    if unit.try_static(measure) is None and _argument(unit, name, measure) is None:
      return None
  return unit.try_static(value)


def _argument(unit: Unit, name: str, value: ast.Subscript) -> str | None:
  array = value.value.value if isinstance(value.value, ast.Attribute) else None
  if not isinstance(array, ast.Name):
    return None
  events, arrays = unit.events(value), unit.array_events(array)
  local = unit.env.get(array.id)
  if not events and not arrays and local is not None and local.node is not None:
    arrays = events = unit.array_events(local.node)  # `self.width or x.shape[-1]`: measured where no example comes
  index = {e.value for e in unit.events(value.slice)} or {_number(value.slice)}
  ranks = {len(e.value.shape) for e in arrays or ()}
  axis = next(iter(index))
  if not events or len(ranks) != 1 or len(index) != 1 or type(axis) is not int:
    return None
  if any(type(e.value) is not int and e not in (arrays or ()) for e in events):
    return None
  rank = next(iter(ranks))
  sizes = [e.value if type(e.value) is int else e.value.shape[axis] for e in events]
  wished = unit.size_name(array.id, axis % rank, rank)
  site = Site(name, ast.Call(value, [], []), [(e.activation, 0, e.activation.module) for e in events], None)
  text = unit.hoist(site, "size", sizes, wished)
  dims = unit.dims(array)
  if dims is not None and axis < len(dims):
    dims[axis].append(text)  # the layers after it get it too
  return text


def _number(node: ast.expr) -> int | None:
  try:
    return ast.literal_eval(node)
  except ValueError:
    return None


def _measures(value: ast.expr) -> list[ast.Subscript]:
  """The axes of shapes in an expression."""
  return [n for n in ast.walk(value) if isinstance(n, ast.Subscript) and _is_measure(n)]


def _is_measure(value: ast.expr) -> bool:
  shape = value.value if isinstance(value, ast.Subscript) else None
  return isinstance(shape, ast.Attribute) and shape.attr == "shape"
