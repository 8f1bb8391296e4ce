"""Layers of which every round of a loop makes one, in one branch or another: one list holds them all.

`if i < last: x = Dense(n)(x) ... else: x = Dense(n, kernel_init=zeros)(x)` in a loop is one row of layers in Linen's names
as well: `Dense_0`, `Dense_1` and so on.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from migrate.codemod.scope import Block, Stmt
from migrate.codemod.site import Site
from migrate.codemod.spread import name_given

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_STRAIGHT = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return)
_SOMETIMES = (ast.IfExp, ast.BoolOp, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def branches_of_round(unit: Unit, node: ast.Call) -> list[ast.Call]:
  """The constructions of which a round makes exactly one, this one included; none where a round may make another number.

  Args:
    unit: the class whose method is written.
    node: a construction.
  """
  loop = unit.loops[0] if len(unit.loops) == 1 and not unit.iterator else None
  around = loop.node if loop is not None else None
  if loop is None or loop.index is None or not isinstance(around, ast.For):
    return []
  inside = [n for s in around.body for n in ast.walk(s)]
  if any(isinstance(n, ast.Continue | ast.Break) for n in inside):
    return []
  if any(isinstance(n, ast.Name) and n.id == loop.index and isinstance(n.ctx, ast.Store) for n in inside):
    return []
  choice = next((s for s in around.body if isinstance(s, ast.If) and s in unit.source.enclosing(node)), None)
  ways = _ways(unit, choice) if choice is not None else []
  if len(ways) < 2 or name_given(node) is not None:
    return []
  made = [_alike(unit, way, node) for way in ways]
  return [row[0] for row in made] if all(len(row) == 1 for row in made) and any(row[0] is node for row in made) else []


def list_of_rounds(unit: Unit, node: ast.Call) -> str:
  """The list of another branch, already made, that takes this layer too; empty where there is none."""
  return next((unit.sites[c].attr for c in branches_of_round(unit, node) if c is not node and c in unit.sites), "")


def of_round(unit: Unit, site: Site) -> str:
  """How the method reads such a layer; empty for others."""
  return f"self.{site.attr}[{unit.loops[0].index}]" if branches_of_round(unit, site.node) else ""


def _ways(unit: Unit, choice: ast.If) -> list[list[ast.stmt]]:
  """The branches of `if`, `elif` and `else`; none without an `else`, or where only a call knows which."""
  tests, ways = [choice.test], [choice.body]
  while len(choice.orelse) == 1 and isinstance(choice.orelse[0], ast.If):
    choice = choice.orelse[0]
    tests.append(choice.test)
    ways.append(choice.body)
  known = choice.orelse and all(unit.try_static(t) is not None for t in tests)
  return [*ways, choice.orelse] if known else []


def _alike(unit: Unit, way: list[ast.stmt], node: ast.Call) -> list[ast.Call]:
  """Constructions of the same class in a branch; two of them where one is not made for certain."""
  found = [n for s in way for n in ast.walk(s) if isinstance(n, ast.Call) and _same_class(unit, n, node)]
  for call in found:
    for outer in unit.source.enclosing(call):
      if outer in way:
        certain = isinstance(outer, _STRAIGHT)
        if not certain or name_given(call) is not None:
          return [call, call]
        break
      if isinstance(outer, _SOMETIMES) or (isinstance(outer, ast.stmt) and not isinstance(outer, _STRAIGHT)):
        return [call, call]
  return found


def _same_class(unit: Unit, call: ast.Call, node: ast.Call) -> bool:
  return unit.creates(call) and ast.dump(call.func) == ast.dump(node.func)


def counting(header: Callable[[], str], index: str | None, inner: list[Stmt | Block]) -> Callable[[], str]:
  """The header of a loop of `__init__`, whose idle `_` counts the rounds where a statement in it asks for that."""

  def reads(block: list[Stmt | Block]) -> bool:
    parts = [p for item in block if isinstance(item, Block) for _, p in item.parts]
    return any(f"[{index}]" in item.text() for item in block if isinstance(item, Stmt)) or any(map(reads, parts))

  def text() -> str:
    return re.sub(r"(?<=for )(\(?)_\b", rf"\g<1>{index}", header(), count=1) if index and reads(inner) else header()

  return text
