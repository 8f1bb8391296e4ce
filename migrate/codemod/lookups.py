"""Classes found in a table outside the ported files, such as a registry of a library."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import types
from typing import TYPE_CHECKING

from migrate.codemod.imports import absolute_module
from migrate.codemod.local_imports import LocalImports
from migrate.codemod.names import spell
from migrate.codemod.source import dotted
from migrate.codemod.static import NotStatic
from migrate.core.report import Finding

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class Lookups(LocalImports):
  """Rendering of `TABLE[key].module_class`, mixed into `Unit`."""

  def looked_up(self: Unit, node: ast.AST) -> str | None:
    """The ported class for a Linen class that an expression reads from a table that stays as it is, or None.

    The table goes on naming the Linen class; where the examples found several, they are told apart by name.
    """
    if not isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
      return None
    if isinstance(node, ast.Call) and dotted(node.func) == "getattr":
      return self._layer_by_name(node)
    owners = self.events(node.value) if isinstance(node, ast.Attribute) else []
    if owners and all(isinstance(e.value, types.ModuleType) for e in owners):
      return None  # the class by its full name; where it is imported from now is the extraction's business
    found = {e.value if isinstance(e.value, type) else None: None for e in self.events(node)}
    infos = [self.project.info(cls) if cls is not None else None for cls in found]
    root = _root(node)
    if not infos or root is None or not self.outside(root):
      return None
    names = []
    for info in infos:
      if info is None or "." in info.name:
        return None
      if info.file != self.info.file:
        self.need_import(f"from {info.module} import {info.name}")
      names.append(info.name)
    self.note(Finding(self.where(node), f"`{self.source.code(node)}` finds a Linen class in `{root}`, which is not ported",
                      "a table of the ported classes", f"{' and '.join(names)} of the examples stand there: add others", "eye", "L2N113"))  # fmt: skip
    if len(names) == 1:
      return names[0]
    table = "{" + ", ".join(f'"{n}": {n}' for n in names) + "}"
    try:
      return f"{table}[{self.compose(node, self.static)}.__name__]"
    except NotStatic:
      return None

  def _layer_by_name(self: Unit, node: ast.Call) -> str | None:
    """`getattr(nn, self.cell)`: layers that are no longer called as in Linen are found by Linen's names; None where NNX has them all."""
    if len(node.args) != 2 or self.resolve(node.args[0]) != "flax.linen" or isinstance(node.args[1], ast.Constant):
      return None
    table = []
    for name in sorted({e.value.__name__ for e in self.events(node) if isinstance(e.value, type)}):
      record = self.project.layers.get(f"flax.linen.{name}")
      if record is None or record.nnx == f"flax.nnx.{name}":
        continue
      spelled, statement = (self.template(record.nnx), "") if record.nnx.startswith("template:") else spell(record.nnx)
      self.need_import(statement or "from flax import nnx")
      table.append(f'"{name}": {spelled}')
    asked = self.try_static(node.args[1]) if table else None
    return f"{{{', '.join(table)}}}.get({asked}, getattr(nnx, {asked}, None))" if asked is not None else None

  def outside(self: Unit, name: str) -> bool:
    """Whether a name is imported from a module that is not ported."""
    imported = [
      n
      for n in ast.walk(self.info.node)
      if isinstance(n, ast.ImportFrom) and name in {a.asname or a.name for a in n.names}
    ]
    if imported:
      module = absolute_module(
        self.info.module, self.info.file.endswith("__init__.py"), imported[0].level, imported[0].module
      )
    elif name in self.parameters or name in self.env:
      return False
    else:
      full = self.names.resolve(name)
      module = full.rpartition(".")[0] if full is not None else None
    return bool(module) and module not in self.project.modules.values() and not str(module).startswith("flax")


def _root(node: ast.AST) -> str | None:
  while not isinstance(node, ast.Name):
    if isinstance(node, ast.Attribute | ast.Subscript):
      node = node.value
    elif isinstance(node, ast.Call):
      node = node.func
    else:
      return None
  return node.id


def drop_unused_imports(text: str) -> str:
  """Import statements of a body that nothing in it needs any more."""
  try:
    tree = ast.parse(text)
  except SyntaxError:
    return text
  used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
  lines = text.split("\n")
  for node in reversed(tree.body):
    if isinstance(node, ast.Import | ast.ImportFrom) and not used & {
      (a.asname or a.name).partition(".")[0] for a in node.names
    }:
      first, last = node.lineno - 1, node.end_lineno or node.lineno
      del lines[first:last]
      if first and first < len(lines) and not lines[first].strip() and not lines[first - 1].strip():
        del lines[first]
  return "\n".join(lines)
