"""Rewrites the imports of an extracted file: ported definitions from the new package, the rest from the original."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import re

from migrate.codemod.extract_units import Unit
from migrate.codemod.extract_where import Where
from migrate.codemod.imports import absolute_module
from migrate.codemod.imports_edit import Edit, Positions, drop_aliases, remove_statement
from migrate.codemod.imports_uses import module_level_names
from migrate.codemod.star_imports import loaded_module

_FROM = re.compile(rb"from\s*([.\s\w]*?)\s*\bimport\b")
_Import = ast.Import | ast.ImportFrom
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclasses.dataclass(frozen=True)
class Line:
  """One name to import: `from module import name as bound`, or `import module [as bound]` where name is None."""

  module: str
  name: str | None
  bound: str | None


def import_text(lines: list[Line], width: int = 100) -> str:
  """Statements that import these, one for each module, in order."""
  by_module: dict[str, list[str]] = {}
  out: list[str] = []
  for line in lines:
    if line.name is None:
      out.append(f"import {line.module}" + (f" as {line.bound}" if line.bound and line.bound != line.module else ""))
    else:
      text = line.name if line.bound in (None, line.name) else f"{line.name} as {line.bound}"
      names = by_module.setdefault(line.module, [])
      if text not in names:
        names.append(text)
  for module, names in by_module.items():
    text = f"from {module} import {', '.join(names)}"
    if len(text) > width:
      text = f"from {module} import (\n" + "".join(f"    {n},\n" for n in names) + ")"
    out.append(text)
  return "\n".join(dict.fromkeys(out))


class ImportRewriter:
  """Plans the edits of all imports in the chosen units of one file.

  Attributes:
    edits: what to change in the file.
    add: import statements that the result needs besides.
    alive: import units of the file that still import something.
  """

  def __init__(self, module: str, data: bytes, units: list[Unit], chosen: list[Unit], where: Where):
    self.module = module
    self.where = where
    self.edits: list[Edit] = []
    self.add: list[str] = []
    self.alive: set[int] = set()
    self._data = data
    self._at = Positions(data)
    self._package = where.is_package.get(module, False)
    self._chosen = [u for u in chosen if not u.is_import]
    self._bound = {n for u in units for n in u.binds}
    self._needed = {n for u in self._chosen for n in u.uses}
    self._unbound = self._needed - self._bound - set(dir(builtins))
    self._parents = {c: p for u in chosen for n in u.nodes for p in ast.walk(n) for c in ast.iter_child_nodes(p)}
    self._moved: set[ast.AST] = set()
    stars = [(u, n) for u in units if u.is_import for n in u.nodes if isinstance(n, ast.ImportFrom)]
    # the packages' own first: what they give, no outside star needs to
    for inside in (True, False):
      for unit, node in reversed(stars):
        if node.names[0].name == "*":
          self._star(unit, node, inside)
    for unit in units:
      if unit.is_import and not unit.is_future:
        self._import_unit(unit)
    for unit in self._chosen:
      self._block(unit.nodes, unit, strict=False, nested=False)

  def _import_unit(self, unit: Unit) -> None:
    alive = False
    for node in unit.nodes:
      assert isinstance(node, (ast.Import, ast.ImportFrom))
      if node.names[0].name == "*":
        continue
      if self._import(node, self._needed, None):
        alive = True
      elif len(unit.nodes) > 1:
        self.edits.append(remove_statement(node, self._data, self._at))
    if alive:
      self.alive.add(id(unit))

  def _block(self, body: list[ast.stmt], unit: Unit, *, strict: bool, nested: bool) -> None:
    """Imports inside `if`, `try`, functions and classes. `strict`: every import stays (in `try`, in functions) but Linen's."""
    gone: list[ast.stmt] = []
    for node in body:
      if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = None if nested or (strict and not _of_linen(node)) else self._needed
        if not self._import(node, names, unit if nested else None):
          gone.append(node)
        elif strict and not nested and not any(_binding(a) in self._needed for a in node.names):
          self._excuse(node)
        continue
      inner = nested or isinstance(node, _SCOPES)
      tried = strict or isinstance(node, (ast.Try, ast.TryStar))
      for field in ("body", "orelse", "finalbody"):
        self._block(getattr(node, field, []), unit, strict=tried, nested=inner)
      for handler in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        self._block(handler.body, unit, strict=tried, nested=inner)
    for node in gone:
      if len(gone) == len(body) and node is gone[0]:
        self.edits.append(Edit(self._at.start(node), self._at.end(node), b"pass"))
      else:
        self.edits.append(remove_statement(node, self._data, self._at))

  def _excuse(self, node: _Import) -> None:
    """An import in `try` whose success is what matters: tell linters."""
    end = self._at.end(node)
    rest = self._data[end : self._at.line_start((node.end_lineno or 0) + 1)]
    if b"noqa" not in rest and not rest.strip():
      self.edits.append(Edit(end, end, b"  # noqa: F401"))

  def _import(self, node: _Import, needed: set[str] | None, unit: Unit | None) -> bool:
    """Plans one statement. Returns whether anything of it stays."""
    dead = [a for a in node.names if needed is not None and _binding(a) not in needed]
    if len(dead) == len(node.names):
      return False
    if isinstance(node, ast.Import):
      return self._plain(node, dead, unit)
    source = absolute_module(self.module, self._package, node.level, node.module)
    if source is None or not self.where.inside(source):
      self.edits += drop_aliases(node, dead, self._data, self._at)
      return True
    lines: list[Line] = []
    for alias in node.names:
      if alias in dead:
        continue
      bound = alias.asname or alias.name
      full = f"{source}.{alias.name}"
      ported = self.where.ported(source, alias.name)
      if ported is not None:
        lines.append(Line(self._spell(ported[0], node.level > 0), ported[1], bound))
      elif self.where.is_module(full):
        lines += self._module_lines(full, bound, node.level > 0, unit)
      else:
        lines.append(Line(source, alias.name, bound))
    self._emit(node, dead, lines)
    return bool(lines)

  def _emit(self, node: ast.ImportFrom, dead: list[ast.alias], lines: list[Line]) -> None:
    """Edits the statement in place where one module remains, else writes it anew."""
    modules = {line.module for line in lines}
    live = [a for a in node.names if a not in dead]
    same = [(a.name, a.asname or a.name) for a in live] == [(line.name, line.bound or line.name) for line in lines]
    start, end = self._at.start(node), self._at.end(node)
    if len(modules) == 1 and same and not any(a.name == "*" for a in node.names):
      match = _FROM.match(self._data, start, end)
      assert match is not None
      self.edits.append(Edit(match.start(1), match.end(1), modules.pop().encode()))
      self.edits += drop_aliases(node, dead, self._data, self._at)
    elif lines:
      indent = " " * node.col_offset
      self.edits.append(Edit(start, end, import_text(lines).replace("\n", "\n" + indent).encode()))

  def _spell(self, module: str, relative: bool) -> str:
    """A ported module as imported in the new file."""
    text = self.where.relative(self.module, module) if relative else None
    return text or self.where.new_module(module)

  def _module_lines(self, full: str, bound: str, relative: bool, unit: Unit | None) -> list[Line]:
    """Imports for a name bound to a module: of the new one, of the original, or both where its users want both."""
    new, old = self._references(bound, full, unit)
    parent, _, leaf = full.rpartition(".")
    lines: list[Line] = []
    if new and not old and all(target == full for _, target, _ in new):
      if relative and parent and (text := self.where.relative(self.module, parent)):
        return [Line(text, leaf, bound)]
      return [self._module_line(self.where.new_module(full), bound)]
    for node, target, name in new:
      alias = self._fresh(f"{bound if target == full else target.rpartition('.')[2]}_nnx")
      self._move(node, f"{alias}.{name}")
      line = self._module_line(self.where.new_module(target), alias)
      if line not in lines:
        lines.append(line)
    if old or not new:
      lines.insert(0, self._module_line(full, bound))
    return lines

  def _module_line(self, module: str, bound: str) -> Line:
    parent, _, leaf = module.rpartition(".")
    return Line(parent, leaf, bound) if parent else Line(module, None, bound)

  def _fresh(self, name: str) -> str:
    while name in self._bound:
      name += "_"
    return name

  def _plain(self, node: ast.Import, dead: list[ast.alias], unit: Unit | None) -> bool:
    """`import a.b.c`, `import a.b.c as d`."""
    lines: list[Line] = []
    changed = False
    for alias in node.names:
      if alias in dead:
        continue
      if not self.where.inside(alias.name):
        lines.append(Line(alias.name, None, alias.asname))
        continue
      if alias.asname:
        inner = self._module_lines(alias.name, alias.asname, False, unit)
        changed = changed or inner != [self._module_line(alias.name, alias.asname)]
        lines += inner
        continue
      root = alias.name.partition(".")[0]
      new, old = self._references(root, root, unit)
      if old or not new:
        lines.append(Line(alias.name, None, None))
      else:
        changed = True
      for reference, target, name in new:
        module = self.where.new_module(target)
        changed = True
        self._move(reference, f"{module}.{name}")
        if Line(module, None, None) not in lines:
          lines.append(Line(module, None, None))
    if changed:
      text = import_text(lines).replace("\n", "\n" + " " * node.col_offset)
      self.edits.append(Edit(self._at.start(node), self._at.end(node), text.encode()))
    else:
      self.edits += drop_aliases(node, dead, self._data, self._at)
    return bool(lines)

  def _move(self, node: ast.expr, text: str) -> None:
    if node not in self._moved:
      self._moved.add(node)
      self.edits.append(Edit(self._at.start(node), self._at.end(node), text.encode()))

  def _references(
    self, bound: str, full: str, unit: Unit | None
  ) -> tuple[list[tuple[ast.expr, str, str]], list[ast.expr]]:
    """Uses of a name bound to a module: ported ones as (expression, original module, name), and the others."""
    if unit is None:
      names = [n for u in self._chosen for n in module_level_names(u.nodes) if n.id == bound]
    else:
      names = [n for s in unit.nodes for n in ast.walk(s) if isinstance(n, ast.Name) and n.id == bound]
    new: list[tuple[ast.expr, str, str]] = []
    old: list[ast.expr] = []
    for name in names:
      module, node = full, name
      while True:
        parent = self._parents.get(node)
        if not isinstance(parent, ast.Attribute):
          old.append(node)
          break
        node = parent
        ported = self.where.ported(module, node.attr)
        if ported is not None:
          new.append((node, *ported))
          break
        if not self.where.is_module(f"{module}.{node.attr}"):
          old.append(node)
          break
        module = f"{module}.{node.attr}"
    return new, old

  def _star(self, unit: Unit, node: ast.ImportFrom, inside: bool) -> None:
    """`from m import *` becomes the names that are needed and that it may give."""
    source = absolute_module(self.module, self._package, node.level, node.module)
    if source is None or not self._unbound or self.where.inside(source) != inside:
      return
    lines: list[Line] = []
    if inside:
      for name in sorted(self._unbound):
        ported = self.where.ported(source, name)
        if ported is not None:
          lines.append(Line(self._spell(ported[0], node.level > 0), ported[1], name))
        elif self.where.defined_in(source, name) is not None:
          lines.append(Line(source, name, name))
        elif (behind := loaded_module(source, name)) is not None:
          self.add.append(f"import {behind}" + (f" as {name}" if name != behind else ""))
          self._unbound = self._unbound - {name}
    if lines:
      self._unbound -= {line.bound for line in lines if line.bound}
      self._emit(node, [], lines)
    elif inside and not self._unbound:
      return  # modules that it brought are imported themselves
    elif inside:
      match = _FROM.match(self._data, self._at.start(node))
      assert match is not None
      self.edits.append(Edit(match.start(1), match.end(1), source.encode()))
    self.alive.add(id(unit))


def _of_linen(node: _Import) -> bool:
  """Whether an import is all of Linen: nothing of the ported file waits for its success."""
  prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
  return all(f"{prefix}{a.name}.".startswith("flax.linen.") for a in node.names)


def _binding(alias: ast.alias) -> str:
  return alias.asname or alias.name.partition(".")[0]
