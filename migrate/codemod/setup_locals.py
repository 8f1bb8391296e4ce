"""Locals of `setup` as sizes: a layer made after one reads it by name, whoever is outside what it was assigned."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import re
from collections import Counter
from typing import TYPE_CHECKING

from migrate.codemod.scope import Dims
from migrate.codemod.site import Site
from migrate.codemod.sizes_pool import SETUP_LOCAL, closed, replaced
from migrate.codemod.source import names_in

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

  def _outside(self: Unit, text: str) -> str | None:
    """An expression of `setup` over fields and constants alone, or None."""
    for name in names_in(text) & set(self.setup_locals):
      inner = self.setup_locals[name][1]
      if inner is not None:
        text = replaced(text, rf"(?<![\w.]){name}\b", inner)
    return text if "\n" not in text and closed(text) else None

  def in_setup_terms(self: Unit, site: Site, text: str) -> str | None:
    """An argument of a layer that `setup` makes as methods can carry it: locals are marked; None where it reads others."""
    marked = text
    for name in names_in(text) & set(self.setup_locals) if not self.in_setup else ():
      if self.setup_locals[name][0] > site.node.lineno:
        return None  # it gets another value
      marked = re.sub(rf"(?<![\w.]){name}\b", f"SETUP__{name}__LOCAL", marked)
    return marked if closed(marked) else None

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
