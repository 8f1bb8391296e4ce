"""Locals of `setup` as sizes: a layer made after one reads it by name, whoever is outside what it was assigned."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from migrate.codemod.method_sizes import given_arguments
from migrate.codemod.scope import Dims
from migrate.codemod.site import Site
from migrate.codemod.sizes_pool import SETUP_LOCAL, closed, replaced
from migrate.codemod.source import dotted, names_in

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class SetupLocals:
  """What the locals of `setup` are to sizes that methods read, mixed into `Unit`."""

  def note_setup_locals(self: Unit, node: ast.FunctionDef) -> None:
    """Keeps the locals that `setup` assigns unconditionally, with the line where they get their last value.

    Not where there are compact methods, which may use the same names.
    """
    if self.info.compact_methods() or self.self_name != "self":
      return
    stores = Counter(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    settled: Counter[str] = Counter()
    for statement in node.body:
      target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
      if not isinstance(target, ast.Name) or not isinstance(statement, ast.Assign):
        continue
      settled[target.id] += 1
      if stores[target.id] == settled[target.id]:  # its last value
        text = self._outside(self.source.code(statement.value)) if stores[target.id] == 1 else None
        self.setup_locals[target.id] = (statement.lineno, text)

  def over_fields(self: Unit, node: ast.expr) -> str | None:
    """An expression of `setup`, or of a method that it calls, over fields and constants alone."""
    return self._outside(self.source.code(node), self.building.outside)

  def setup_shape(self: Unit, items: Sequence[ast.expr]) -> Dims:
    """Axes of a parameter that `setup` makes, or a method that it calls, as methods can carry them."""
    texts = [
      self.over_fields(e) if self.building.outside else self._marked(self.source.code(e), e.lineno) for e in items
    ]
    return [[t] if t is not None else [] for t in texts]

  def build_locals(self: Unit, definition: ast.FunctionDef, call: ast.Call) -> dict[str, str | None]:
    """The names of a method that `setup` calls -> over fields and constants alone; None for others."""
    arguments = definition.args
    known: dict[str, str | None] = {
      a.arg: None for a in ast.walk(arguments) if isinstance(a, ast.arg) and a.arg != "self"
    }
    given = given_arguments(call, definition)
    known |= {n: self.over_fields(v) for n, v in given.items()}
    stores = Counter(n.id for n in ast.walk(definition) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    for statement in definition.body:
      target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
      if isinstance(target, ast.Name) and isinstance(statement, ast.Assign) and stores[target.id] == 1:
        known[target.id] = self._outside(self.source.code(statement.value), known)
    return dict.fromkeys(stores) | known

  def _outside(self: Unit, text: str, inside: Mapping[str, str | None] = {}) -> str | None:
    """An expression of `setup` over fields and constants alone, or None."""
    names = inside or {n: t for n, (_, t) in self.setup_locals.items()}
    for name in names_in(text) & set(names):
      inner = names[name]
      if inner is not None:
        text = replaced(text, rf"(?<![\w.]){name}\b", inner)
    return text if "\n" not in text and closed(text) else None

  def in_setup_terms(self: Unit, site: Site, text: str) -> str | None:
    """An argument of a layer that `setup` makes as methods can carry it: locals are marked; None where it reads others.

    Those of a method that `setup` calls are said over fields.
    """
    marked = text
    for name, value in site.outside.items():
      if name in names_in(text):
        if value is None:
          return None
        marked = replaced(marked, rf"(?<![\w.]){name}\b", value)
    return self._marked(marked, site.node.lineno) if not self.in_setup else marked if closed(marked) else None

  def _marked(self: Unit, text: str, line: int) -> str | None:
    for name in names_in(text) & set(self.setup_locals):
      if self.setup_locals[name][0] > line:
        return None  # it gets another value
      text = re.sub(rf"(?<![\w.]){name}\b", f"SETUP__{name}__LOCAL", text)
    return text if closed(text) else None

  def at_setup_site(self: Unit, site: Site, text: str) -> str | None:
    """A carried expression as the place of a layer in `setup` can say it."""
    marks = SETUP_LOCAL.findall(text)
    if marks and site in self.setup_sites and all(self.setup_locals[m][0] < site.node.lineno for m in marks):
      return SETUP_LOCAL.sub(lambda m: m.group(1), text)
    return self.outside_setup(text)

  def outside_setup(self: Unit, text: str) -> str | None:
    """A carried expression over fields alone."""
    for mark in SETUP_LOCAL.findall(text):
      inner = self.setup_locals[mark][1]
      if inner is None:
        return None
      text = replaced(text, rf"\bSETUP__{mark}__LOCAL\b", inner)
    return text

  def dims_outside(self: Unit, dims: Dims) -> Dims:
    """Axes of what a method returns, as other classes read them."""
    return [list(dict.fromkeys(t for c in axis if (t := self.outside_setup(c)) is not None)) for axis in dims]


def goes_into_list(unit: Unit, targets: Sequence[ast.expr], value: ast.Call) -> bool:
  """Whether a local of a loop only carries its parameter to a list: `w = self.param(...)`, then `ws.append(w)`."""
  loads = _loads(unit, targets, value)
  calls = [unit.source.parents.get(n) for n in loads]
  return bool(calls) and all(
    isinstance(c, ast.Call) and n in c.args and isinstance(c.func, ast.Attribute) and c.func.attr == "append"
    for n, c in zip(loads, calls, strict=True)
  )


def assigned_later(unit: Unit, targets: Sequence[ast.expr], value: ast.Call) -> str | None:
  """The attribute that a local's parameter is given to: `bias = self.param(...)`, then `self.bias = bias`."""
  block = unit.source.parents.get(unit.source.parents.get(value))  # pyright: ignore
  found = {
    target.attr
    for n in _loads(unit, targets, value)
    if isinstance(s := unit.source.parents.get(n), ast.Assign) and s.value is n and len(s.targets) == 1
    if unit.source.parents.get(s) is block
    if isinstance(target := s.targets[0], ast.Attribute) and dotted(target.value) == unit.self_name
  }
  return found.pop() if len(found) == 1 and not unit.setup_loops else None


def _loads(unit: Unit, targets: Sequence[ast.expr], value: ast.Call) -> list[ast.Name]:
  """Where the local that an assignment makes is read; empty where it makes several, or one that is assigned again."""
  name = targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else None
  method = next((n for n in unit.source.enclosing(value) if isinstance(n, ast.FunctionDef)), None)
  named = [n for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == name] if method and name else []
  if sum(isinstance(n.ctx, ast.Store) for n in named) != 1:
    return []
  return [n for n in named if isinstance(n.ctx, ast.Load)]
