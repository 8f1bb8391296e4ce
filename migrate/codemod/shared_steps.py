"""Functions of a method that `nn.scan` runs with one set of parameters for all steps: `__init__` makes their layers once."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_SCANS = ("flax.linen.scan", "flax.linen.transforms.scan")


def shared_step(unit: Unit, node: ast.AST) -> str | None:
  """The parameter by which such a function gets the module; None for any other function.

  `def step(module, carry, x)` of which `nn.scan(step, variable_broadcast="params")` is the only use.
  """
  method = next((n for n in unit.source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
  if not isinstance(node, ast.FunctionDef) or method is None or node.decorator_list or not node.args.args:
    return None
  loads = [n for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == node.name]
  call = unit.source.parents.get(loads[0]) if len(loads) == 1 else None
  if not isinstance(call, ast.Call) or call.args[:1] != loads or unit.resolve(call.func) not in _SCANS:
    return None
  given = {k.arg: k.value for k in call.keywords}
  shared, stacked = given.get("variable_broadcast"), given.get("variable_axes")
  if shared is None or "params" not in {n.value for n in ast.walk(shared) if isinstance(n, ast.Constant)}:
    return None
  if stacked is not None and not (isinstance(stacked, ast.Dict) and not stacked.keys):
    return None
  first = node.args.args[0].arg
  inside = {n.id for s in node.body for n in ast.walk(s) if isinstance(n, ast.Name)}
  return first if first == unit.self_name or unit.self_name not in inside else None
