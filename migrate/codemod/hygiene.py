"""Names of a function that is written out in `__init__`, kept apart from the names around its call."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from migrate.codemod.scope import Block, Local, Stmt
from migrate.codemod.source import names_in

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


@contextlib.contextmanager
def kept_apart(unit: Unit, node: ast.AST) -> Iterator[None]:
  """While a function's statements go to `__init__`; afterwards the names around mean what they meant.

  Args:
    unit: whose method calls the function.
    node: the function's definition.
  """
  block, start = unit.block, len(unit.block)
  yield
  if unit.block is not block or len(block) == start:
    return
  names = _defined(block[start:]) | {
    n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
  }
  own = {n for n in names if n in unit.local_names and n in unit.env and unit.env[n].kind == "static"}
  before: list[Stmt | Block] = []
  unit.block = before
  for name in sorted(names - own):
    if any(name in names_in(c) for local in unit.env.values() for axis in local.dims or () for c in axis):
      _rebind(unit, name)
  after: list[Stmt | Block] = []
  renamed = {n: _free(unit, f"own_{n}", names) for n in sorted(own)}
  for name, kept in renamed.items():
    before.append(Stmt(lambda n=name, k=kept: f"{k} = {n}", frozenset({kept})))
    after.append(Stmt(lambda n=name, k=kept: f"{n} = {k}", frozenset({name})))
  unit.block = block
  block[start:start] = before
  _save_returned(unit, own)
  block += after


def _defined(block: Sequence[Stmt | Block]) -> set[str]:
  found: set[str] = set()
  for item in block:
    if isinstance(item, Stmt):
      found |= item.defines | ({item.mutates} if item.mutates else set())
    else:
      found |= set().union(*(_defined(part) for _, part in item.parts))
  return found


def _rebind(unit: Unit, name: str) -> None:
  """Sizes around the call that mention a name which the function gives another value keep the old one."""
  for other, local in unit.env.items():
    if local.dims is None or not any(name in names_in(c) for axis in local.dims for c in axis):
      continue
    fresh = []
    for axis, candidates in enumerate(local.dims):
      keep = [c for c in candidates if name not in names_in(c)]
      if candidates and not keep:
        saved = _free(unit, unit.size_name(other, axis, len(local.dims)), {name})
        unit.block.append(Stmt(lambda s=saved, old=candidates[0]: f"{s} = {old}", frozenset({saved})))
        unit.env_later[saved] = Local("static", None)
        keep = [saved]
      fresh.append(keep)
    local.dims = fresh
  unit.env.update(unit.env_later)
  unit.env_later.clear()
  unit._dims = {n: d for n, d in unit._dims.items() if not any(name in names_in(c) for axis in d for c in axis)}


def _save_returned(unit: Unit, own: set[str]) -> None:
  """Sizes of what the function returned that mention a name which gets its old value back."""
  dims = unit.returned
  for axis, candidates in enumerate(dims or ()):
    keep = [c for c in candidates if not names_in(c) & own]
    if candidates and not keep:
      saved = _free(unit, unit.size_name("returned", axis, len(dims or ())), own)
      unit.block.append(Stmt(lambda s=saved, c=candidates[0]: f"{s} = {c}", frozenset({saved})))
      keep = [saved]
    candidates[:] = keep


def _free(unit: Unit, wished: str, taken: set[str]) -> str:
  name, i = wished, 1
  while name in unit.env or name in unit.parameters or name in taken or name in unit.local_names:
    i += 1
    name = f"{wished}_{i}"
  return name
