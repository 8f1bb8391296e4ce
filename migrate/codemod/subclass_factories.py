"""Methods that make layers and that a subclass has: `self.make_block(i)(x)` in a base, `def make_block(self, i)` in the classes below.

The base's `__init__` calls the method as its `__call__` or `setup` did; each subclass's takes the sizes and `rngs`.
"""

from __future__ import annotations

import ast

from migrate.codemod.factories import Factory
from migrate.codemod.methods import add_parameters
from migrate.codemod.project import ClassInfo
from migrate.codemod.source import Source, dotted, key
from migrate.codemod.static import NotStatic
from migrate.codemod.unit import Unit
from migrate.core.report import MigrateError


def subclass_factory(unit: Unit, node: ast.Call) -> Factory | None:
  """The methods of subclasses that a call of the class's own method comes to, which all take the same; None for other calls."""
  owner, _, name = (dotted(node.func) or "").partition(".")
  if not owner or owner != unit.self_name or not name or "." in name:
    return None
  found: dict[ast.FunctionDef, Factory] = {}
  for run in unit.project.called_from.get((unit.source.path, key(node)), ()):
    source = unit.project.sources.get(run.file)
    definition = source.function(run.line, run.qualname) if source is not None else None
    if source is None or definition is None:
      return None
    if definition not in found:
      factory = _read(unit, definition, source)
      if factory is None:
        return None
      found[definition] = factory
  infos = [_class_of(unit, d, f.source) for d, f in found.items()]
  if all(i is None or i.cls is unit.info.cls for i in infos):
    return None
  first, *others = found.values()
  taken = {tuple((s.name, s.several) for s in f.sizes) for f in found.values()}
  if len(taken) > 1 or len({tuple(f.parameters) for f in found.values()}) > 1:
    return None
  first.others = others
  unit.hooks[name] = [s.name for s in first.sizes]
  return first


def hook_text(unit: Unit, node: ast.FunctionDef, text: str) -> str:
  """The base's own method, which those of the subclasses stand for, with the arguments that they take."""
  if node.name not in unit.hooks:
    return text
  names = [*unit.hooks[node.name], "rngs"]
  before, found, after = add_parameters(unit, node, text, names).partition(")")
  for name in names:
    before = before.replace(f"{name}=None", name)
  return before + found + after


def factory_text(unit: Unit, node: ast.FunctionDef) -> str | None:
  """The text of a method that makes layers and returns them; None for any other method."""
  factory = unit.factory_at(node, unit.info.source) or _default_factory(unit, node)
  if factory is None:
    return None
  unit.imports, unit.templates = unit.imports | factory.imports, unit.templates | factory.templates
  return factory.text


def _default_factory(unit: Unit, node: ast.FunctionDef) -> Factory | None:
  """The base's own method where every example has one of a subclass: its layers' sizes are arguments as well."""
  if node.name not in unit.hooks or unit.read_factory is None or _runs(unit, node):
    return None
  factory, state = Factory("method", node, unit.source), unit.snapshot()
  try:
    unit.read_factory(unit, factory)
  except (NotStatic, MigrateError):
    unit.restore(state)
    return None
  if not factory.sites:
    return None
  own = {s.name for s in factory.sizes}
  told = [n for n in unit.hooks[node.name] if n not in own]
  factory.text = factory.text.replace("rngs", ", ".join([*told, "rngs"]), 1)
  return factory


def _read(unit: Unit, definition: ast.FunctionDef, source: Source) -> Factory | None:
  """The factory that a method is, read as its own class sees it."""
  info = _class_of(unit, definition, source)
  if info is None or info.cls is unit.info.cls or not issubclass(info.cls, unit.info.cls):
    return unit.factory_at(definition, source)
  known = (unit.results, unit.residues, unit.field_residues, unit.exact, unit.factories)
  inner = Unit(unit.project, info, unit.names_of(source), *known)
  inner.makers, inner.read_factory = unit.makers, unit.read_factory
  before = (source.path, key(definition)) in unit.factories
  factory = inner.factory_at(definition, source)
  if factory is not None and not before:
    factory.imports |= inner.imports
    factory.templates |= inner.templates
  return factory


def _runs(unit: Unit, node: ast.FunctionDef) -> bool:
  return (unit.source.path, f"{unit.info.name}.{node.name}") in unit.project.activations


def _class_of(unit: Unit, definition: ast.FunctionDef, source: Source) -> ClassInfo | None:
  parent = source.parents.get(definition)
  return next((i for i in unit.project.classes.values() if i.source is source and i.node is parent), None)
