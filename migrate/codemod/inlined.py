"""Layers of a loop that are named only to be handed to another: written where they are handed over.

`forward = nn.RNN(cell)`, then `nn.Bidirectional(forward, backward)(x)`: in a loop each would be a list of its own.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def inline_layer(unit: Unit, name: str, value: ast.expr) -> bool:
  """Whether a layer of a loop is an argument of another and nothing else; its name stands for the expression then."""
  method = next((n for n in unit.source.enclosing(value) if isinstance(n, ast.FunctionDef)), None)
  if not unit.loops or unit.assigned[name] != 1 or method is None or name in unit.parameters:
    return False
  loads = [n for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
  call = unit.source.parents.get(loads[0]) if len(loads) == 1 else None
  call = unit.source.parents.get(call) if isinstance(call, ast.keyword) else call
  if not isinstance(call, ast.Call) or call.func is loads[0] or not unit.made_at(call):
    return False
  unit.inlined[name], unit.inlined_at[value] = value, loads[0]
  unit.env.pop(name, None)
  return True
