"""`continue`, `break` and `return` of a loop that `__init__` has too: what they leave out is not made there either."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.scope import Stmt, last_axes
from migrate.codemod.static import alone

if TYPE_CHECKING:
  from migrate.codemod.compound import Loop
  from migrate.codemod.unit import Unit


def loop_exit(unit: Unit, node: ast.stmt) -> None:
  """Has `__init__` leave the round, or the loop, where it knows every condition around the statement."""
  if not unit.loops or unit.function_depth or unit.no_sites:
    return
  if not isinstance(node, ast.Continue | ast.Break | ast.Return):
    return
  loops = unit.loops if isinstance(node, ast.Return) else unit.loops[-1:]
  tests = _tests(unit, node, loops[0].node)
  if tests is None or any(loop.dynamic for loop in loops) or not all(_is_known(unit, test) for test in tests):
    return
  for loop in loops:
    loop.left = True
  if isinstance(node, ast.Return):
    unit.block.append(Stmt(lambda: "return", stop=True))
    return
  word = "continue" if isinstance(node, ast.Continue) else "break"
  if word == "continue":
    unit.loops[-1].conditional += 1  # what follows is not made in every round
  for _, _, fresh, new in next_sizes(unit, unit.loops[-1]):
    unit.block.append(Stmt(lambda f=fresh, e=new: f"{f} = {alone(e, '')}", frozenset({fresh})))
  unit.block.append(Stmt(lambda: word, leaves=word))


def next_sizes(unit: Unit, loop: Loop) -> list[tuple[str, int, str, str]]:
  """What a round leaves to the next at this point: the array, its axis, the size's name, and what it is now."""
  found = []
  for local, axis, fresh, before in loop.carried:
    now = unit.env.get(local)
    dims = last_axes(now.dims, before) if now is not None and now.dims else []
    if axis < len(dims) and fresh not in dims[axis][:1]:
      new = next((c for c in dims[axis] if c != fresh), None)
      found += [(local, axis, fresh, new)] if new is not None else []
  return found


def _tests(unit: Unit, node: ast.stmt, loop: ast.AST | None) -> list[ast.expr] | None:
  """The conditions between a statement and a loop; None where something else stands between them."""
  found: list[ast.expr] = []
  for outer in unit.source.enclosing(node):
    if outer is loop:
      return found or None  # under no condition, no other round ever is
    if isinstance(outer, ast.If):
      found.append(outer.test)
    elif not isinstance(outer, ast.For):
      return None
  return None


def _is_known(unit: Unit, test: ast.expr) -> bool:
  """Whether `__init__` knows the whole of a condition, and not only something that holds whenever it does."""
  if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
    return all(_is_known(unit, t) for t in test.values)
  return unit.shape_comparison(test) is not None or unit.try_static(test) is not None
