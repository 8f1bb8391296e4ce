"""Lists of arrays in a compact method: `__init__` keeps the lists of their last axes under the same names."""

from __future__ import annotations

import ast
import dataclasses
from typing import TYPE_CHECKING

from migrate.codemod.scope import Local, Stmt

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def list_written_out(unit: Unit, name: str, value: ast.List) -> None:
  """`skips = [x]`."""
  axes = [unit.dims(e) for e in value.elts]
  last = [unit.pick(d[-1]) if d else None for d in axes]
  unit.rebinding(name)
  if any(size is None for size in last):
    unit.env[name] = Local("dynamic", value)
    return
  sizes = ", ".join(str(size) for size in last)
  _keep(unit, name, value, f"[{sizes}]")


def list_of_each(unit: Unit, name: str, value: ast.AST) -> bool:
  """`laterals = [nn.Conv(self.dim, (1, 1))(f) for f in features]`; False where the sizes are not known."""
  if not isinstance(value, ast.ListComp) or len(value.generators) != 1 or value.generators[0].ifs:
    return False
  generator = value.generators[0]
  iterable = unit.static_sizes(generator.iter) if unit.array_events(value.elt) else None
  if iterable is None or unit.in_setup:
    return False
  outer, bound, block = unit.env, unit.bound_names, unit.block
  unit.env, unit.block = {n: dataclasses.replace(v) for n, v in outer.items()}, []
  unit.enter_loop(value, generator.target, static=True)
  dims = unit.dims(value.elt)
  size = unit.pick(dims[-1]) if dims else None
  unit.env, unit.bound_names, unit.block = outer, bound, block
  if size is None:
    return False
  unit.rebinding(name)
  _keep(unit, name, value, f"[{size} for {unit.source.code(generator.target)} in {iterable}]")
  return True


def item_stored(unit: Unit, target: ast.AST, value: ast.expr) -> None:
  """`features[i] = x`: another array, whose last axis may be another one."""
  if not isinstance(target, ast.Subscript) or not isinstance(target.value, ast.Name) or not unit.events(value):
    return
  owner = target.value.id
  place, dims = unit.static_sizes(target), unit.dims(value)
  size = unit.pick(dims[-1]) if dims else None
  if place is None or size is None:
    unit.env[owner] = Local("dynamic")
  elif dims and place not in dims[-1]:
    unit.rebinding(owner)
    unit.block.append(Stmt(lambda: f"{place} = {size}", mutates=owner))


def _keep(unit: Unit, name: str, value: ast.AST, sizes: str) -> None:
  unit.block.append(Stmt(lambda: f"{name} = {sizes}", frozenset({name})))
  unit.env[name] = Local("arrays", value)
