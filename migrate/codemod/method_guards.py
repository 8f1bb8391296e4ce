"""Methods that the class calls under a condition on its fields: what they make is made under it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.scope import Block, Stmt
from migrate.codemod.source import names_in

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


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
    start = next(i for i, item in enumerate(block) if item is items[0])
    block[start : start + len(items)] = [Block([(lambda guard=guard: f"if {guard}:", items)])]
  return block


def _called_from_outside(unit: Unit, name: str) -> bool:
  """Whether anything but a method of the same module calls a method."""
  runs = unit.project.activations.get((unit.source.path, f"{unit.info.name}.{name}"), [])
  return any(a.parent is None or a.parent.module is not a.module for a in runs)
