"""Layers and variables in one branch of a conditional expression: `__init__` makes them under the same condition.

`x = nn.LayerNorm()(x) if self.norm else x` is `if self.norm:` before `self.layer_norm = ...`, and the expression stays.
"""

from __future__ import annotations

import ast
import dataclasses
from typing import TYPE_CHECKING, Any

from migrate.codemod.given_values import constant_truth
from migrate.codemod.scope import Block, Stmt
from migrate.codemod.settled import negated
from migrate.codemod.source import dotted

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_MAKERS = ("param", "variable")


def alternative(unit: Unit, node: ast.IfExp) -> str | None:
  """The expression for the method, with what its branches make under its condition in `__init__`.

  None where neither makes anything that is not made already, or where a call decides.
  """
  if unit.in_setup or not (_makes(unit, node.body) or _makes(unit, node.orelse)):
    return None
  static = unit.static_test(node.test)
  if static is None:
    return None
  decided = constant_truth(static) if unit.function_depth else None
  made: dict[ast.AST, list[Stmt | Block]] = {node.body: [], node.orelse: []}
  outer = unit.block

  def write(child: ast.AST) -> str:
    if child is node.test:
      return unit.text(child)
    entry, dims = {n: dataclasses.replace(v) for n, v in unit.env.items()}, dict(unit._dims)
    unit.guards.append(static if child is node.body else negated(static))
    unit.conditions.append(True)
    depth = len(unit.outer_blocks)
    unit.outer_blocks += [] if unit.loops else [outer]
    for loop in unit.loops:
      loop.conditional += 1
    unit.block = made[child]
    try:
      return unit.text(child)
    finally:
      unit.block = outer
      for loop in unit.loops:
        loop.conditional -= 1
      unit.conditions.pop()
      del unit.outer_blocks[depth:]
      unit.guards.pop()
      unit.env, unit._dims = entry, dims

  text = unit.compose(node, write)
  taken, other = made[node.body], made[node.orelse]
  if decided is not None:
    outer += taken if decided else other
    return text
  parts: list[Any] = [(lambda: f"if {static}:", taken)] if taken else []
  if other:
    parts.append((lambda: "else:" if taken else f"if {negated(static)}:", other))
  if parts:
    outer.append(Block(parts))
  return text


def _makes(unit: Unit, branch: ast.expr) -> bool:
  """Whether a branch makes a layer or a variable for the first time that it is read."""
  return any(
    isinstance(n, ast.Call)
    and n not in unit.sites
    and (unit.creates(n) or dotted(n.func) in {f"{unit.self_name}.{name}" for name in _MAKERS})
    for n in ast.walk(branch)
  )
