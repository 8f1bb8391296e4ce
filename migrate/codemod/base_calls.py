"""Calls of a base's methods: `super().setup()`, `super(Model, self).setup()`, `Base.setup(self)`."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING

from migrate.codemod.site import follow_name
from migrate.codemod.source import dotted

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def super_method(unit: Unit, node: ast.AST) -> str | None:
  """The base's method that an expression calls on the module itself."""
  function = node.func if isinstance(node, ast.Call) else None
  if not isinstance(node, ast.Call) or not isinstance(function, ast.Attribute):
    return None
  owner = function.value
  if isinstance(owner, ast.Call):
    return function.attr if isinstance(owner.func, ast.Name) and owner.func.id == "super" else None
  return function.attr if _is_unbound(unit, node) else None


def given_to_base(unit: Unit, node: ast.Call) -> ast.Call:
  """The call without the module, which `Base.setup(self)` is given first."""
  return ast.Call(node.func, node.args[1:], node.keywords) if _is_unbound(unit, node) else node


def base_call(unit: Unit, node: ast.Call) -> str | None:
  """`Base.encode(self, x)` as `super().encode(x)`: where sizes of the base's layers are told, it says so; None for any other call."""
  if not _is_unbound(unit, node):
    return None
  arguments = ", ".join(unit.argument_text(a) for a in [*node.args[1:], *node.keywords])
  return f"super().{node.func.attr}({arguments})"  # pyright: ignore


def _is_unbound(unit: Unit, node: ast.Call) -> bool:
  """Whether a call is `Base.method(self, ...)`, and `super()` finds that very method."""
  function = node.func
  if not isinstance(function, ast.Attribute) or not node.args or not isinstance(node.args[0], ast.Name):
    return False
  method = next((n for n in unit.source.enclosing(node) if isinstance(n, ast.FunctionDef | ast.Lambda)), None)
  own = method.args.args[0].arg if isinstance(method, ast.FunctionDef) and method.args.args else None
  name = dotted(function.value)
  if own != node.args[0].id or name is None or unit.source.parents.get(method) is not unit.info.node:  # pyright: ignore
    return False
  full = unit.names.resolve(name)
  base = follow_name(full) if full is not None else None
  bases = unit.info.cls.__mro__[1:]
  if not any(b is base for b in bases) or base not in unit.project.classes:
    return False
  found = next((vars(b)[function.attr] for b in bases if function.attr in vars(b)), None)
  return found is not None and found is inspect.getattr_static(base, function.attr, None)
