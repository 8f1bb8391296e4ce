"""Keys that a method draws only for the first values of its variables."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from migrate.codemod.scope import Local, Stmt
from migrate.codemod.source import dotted
from migrate.codemod.static import NotStatic

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def draws_first_key(unit: Unit, targets: Sequence[ast.expr], value: ast.expr) -> bool:
  """Whether `key = self.make_rng("noise")` is for first values alone: `__init__` draws the key then, no call does.

  Linen gives a key for every call; NNX's streams would be moved on by keys that nothing reads.
  """
  names = _names(targets)
  draws = [n for n in ast.walk(value) if isinstance(n, ast.Call) and dotted(n.func) == f"{unit.self_name}.make_rng"]
  if not names or not draws or unit.loops or unit.in_setup:
    return False
  if any(unit.assigned[n] != 1 or n in unit.parameters or not _for_first_values(unit, value, n) for n in names):
    return False
  before, unit.first_value = unit.first_value, True
  try:
    static = unit.static(value)
  except NotStatic:
    return False
  finally:
    unit.first_value = before
  text = unit.source.code(targets[0])
  unit.block.append(Stmt(lambda: f"{text} = {static}", frozenset(names)))
  unit.env.update({n: Local("static", value) for n in names})
  return True


def _names(targets: Sequence[ast.expr]) -> list[str]:
  """The names that one target binds; none where it binds something else."""
  parts = targets[0].elts if len(targets) == 1 and isinstance(targets[0], ast.Tuple) else targets
  names = [p.id for p in parts if isinstance(p, ast.Name)]
  return names if len(targets) == 1 and len(names) == len(parts) else []


def _for_first_values(unit: Unit, value: ast.expr, name: str) -> bool:
  """Whether a name is read, and only as an argument of `self.variable` and `self.param`."""
  method = next((n for n in unit.source.enclosing(value) if isinstance(n, ast.FunctionDef)), None)
  found = [n for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == name] if method is not None else []
  reads = [n for n in found if isinstance(n.ctx, ast.Load)]
  makers = {f"{unit.self_name}.variable", f"{unit.self_name}.param"}
  return bool(reads) and all(
    any(isinstance(n, ast.Call) and dotted(n.func) in makers for n in unit.source.enclosing(r)) for r in reads
  )
