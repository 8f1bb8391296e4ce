"""Partials of different layers under one name, of which only some leave an argument to the call.

`norm = partial(nn.BatchNorm, use_running_average=not train)` in one branch and `norm = nn.LayerNorm` in another: the layers
are called with `**norm_arguments`, which every branch gives its own value.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.source import branches_of

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

EVERY = "**"  # stands for the field in what a partial leaves: a dict of arguments


def arguments_of_branch(unit: Unit, node: ast.stmt, name: str, value: ast.expr) -> tuple[str, str] | None:
  """(name, text) of the dict of call arguments, where the values of `name` leave different ones; None elsewhere."""
  method = next((n for n in unit.source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
  if method is None or unit.source.shares_line(node):
    return None
  stores = [n for n in ast.walk(method) if isinstance(n, ast.Assign) and _is_name(n.targets[0], name)]
  values = [v for n in stores if len(n.targets) == 1 for v in _alternatives(n.value)]
  if len(values) < 2 or unit.assigned[name] != len(stores):
    return None
  left = [unit.residue_of(v) for v in values]
  if all(given == left[0] for given in left) or not all(
    _of_stock(unit, v) for v, g in zip(values, left, strict=True) if g
  ):
    return None
  named = [n for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == name]
  loads = [n for n in named if isinstance(n.ctx, ast.Load)]
  if not all(_only_called(unit, n) for n in loads):
    return None
  fresh = f"{name}_arguments"
  while fresh in unit.local_names:
    fresh += "_"
  return fresh, _dict_text(unit, value)


def _is_name(node: ast.AST, name: str) -> bool:
  return isinstance(node, ast.Name) and node.id == name


def _alternatives(value: ast.expr) -> list[ast.expr]:
  """The values that an expression chooses from, but None: nothing calls that."""
  return [v for v in branches_of(value) if not (isinstance(v, ast.Constant) and v.value is None)]


def _of_stock(unit: Unit, value: ast.expr) -> bool:
  return isinstance(value, ast.Call) and bool(value.args) and unit._partial_base(value) is not None


def _only_called(unit: Unit, load: ast.Name) -> bool:
  """Whether a read of the name calls it, asks whether there is one, or hands it to a function that makes layers."""
  outer = unit.source.parents.get(load)
  outer = unit.source.parents.get(outer) if isinstance(outer, ast.keyword) else outer
  if isinstance(outer, ast.Call) and outer.func is not load:
    return not unit.creates(outer) and unit.helper_called(outer) is not None
  return not isinstance(outer, ast.Assign | ast.Return | ast.Attribute | ast.Dict | ast.List | ast.Tuple)


def _dict_text(unit: Unit, value: ast.expr) -> str:
  if isinstance(value, ast.IfExp):
    return f"{_dict_text(unit, value.body)} if {unit.text(value.test)} else {_dict_text(unit, value.orelse)}"
  base = unit._partial_base(value) if isinstance(value, ast.Call) and value.args else None
  names = dict(base.call_args) if base is not None else {}
  given = {names.get(field, field): text for field, text in unit.residue_of(value).items()}
  return "{" + ", ".join(f'"{name}": {text}' for name, text in given.items() if name) + "}"
