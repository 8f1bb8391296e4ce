"""Conditions under which `__init__` makes things: those of a method's calls, and sizes that not every instance has."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from migrate.codemod.scope import Block, Stmt
from migrate.codemod.site import InstanceKey
from migrate.codemod.source import names_in

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit
  from migrate.trace.facts import Activation


def note_guards(unit: Unit, definition: ast.FunctionDef) -> None:
  """Keeps the conditions under which a method is called here, as `__init__` evaluates them."""
  known = " and ".join(g for g in unit.guards if g != "True")
  unit.method_guards.setdefault(definition.name, set()).add(known)


def under_guards(unit: Unit, made: dict[str, list[Stmt | Block]]) -> list[Stmt | Block]:
  """What `__init__` does, where what each method makes stands under the condition of its calls.

  Args:
    unit: the class.
    made: method -> its part of what `__init__` does.
  """
  block = list(unit.block)
  for name, items in made.items():
    guards = unit.method_guards.get(name, set())
    guard = next(iter(guards), "")
    if not items or len(guards) != 1 or names_in(guard) != {"self"} or _called_from_outside(unit, name):
      continue
    start = next((i for i, item in enumerate(block) if item is items[0]), None)
    if start is None or block[start : start + len(items)] != items:
      continue
    if any(s.elsewhere and s.statement in items for s in unit.sites.values()):
      continue  # methods that are called in any case use a layer of it
    runners = frozenset(unit.owner_key(a) for a in _runs(unit, name))
    block[start : start + len(items)] = [Block([(lambda guard=guard: f"if {guard}:", items)], runners=runners)]
  return block


def _called_from_outside(unit: Unit, name: str) -> bool:
  """Whether anything but a method of the same module calls a method."""
  return any(a.parent is None or a.parent.module is not a.module for a in _runs(unit, name))


def _runs(unit: Unit, name: str) -> list[Activation]:
  return unit.project.activations.get((unit.source.path, f"{unit.info.name}.{name}"), [])


def guarded(block: list[Stmt | Block], absent: Mapping[str, set[InstanceKey]]) -> list[Stmt | Block]:
  """What needs a size that not every instance has is made only where it is given.

  Args:
    block: what `__init__` does.
    absent: size -> the instances that lack it.
  """
  optional = set(absent)
  found: list[Stmt | Block] = []
  for item in block:
    if isinstance(item, Block):
      inner = {n: keys for n, keys in absent.items() if not (item.runners and keys) or keys & item.runners}
      found.append(dataclasses.replace(item, parts=[(h, guarded(b, inner)) for h, b in item.parts]))
    elif (
      item.partial
      and not names_in(item.text()) & optional
      and found
      and isinstance(found[-1], Block)
      and "is not None:" in found[-1].parts[0][0]()
    ):
      found[-1].parts[0][1].append(item)
    elif item.keep and (missing := sorted((names_in(item.text()) & optional) - item.takes_none())):
      test = f"if {missing[0]} is not None:"
      last = found[-1] if found else None
      if isinstance(last, Block) and len(last.parts) == 1 and last.parts[0][0]() == test:
        last.parts[0][1].append(item)
      else:
        found.append(Block([(lambda t=test: t, [item])]))
    else:
      found.append(item)
  return found
