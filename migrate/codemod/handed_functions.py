"""Functions that a call hands to a module (`block(x, nn.relu)`) and layers are made with: `__init__` takes them as well."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.site import InstanceKey, Need, Site, SizeArg
from migrate.codemod.static import NotStatic

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def handed_function(unit: Unit, reader: Unit, node: ast.Name) -> str | None:
  """The constructor argument for a call argument that was one function in every call of an instance; else None.

  Args:
    unit: the class.
    reader: what reads the name: the same, or a function inside one of its methods.
    node: the name.
  """
  name = node.id
  if name in unit.hoists:
    return name if unit.hoists[name].parameter == name else None
  if unit.in_factory is not None or name in unit.field_names:
    return None
  values: dict[InstanceKey, Any] = {}
  for event in reader.events(node):
    if not _is_function(event.value) or values.setdefault(unit.owner_key(event.activation), event.value) != event.value:
      return None
  if not values or any(
    isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store) for n in _method(unit, node)
  ):
    return None
  unit.hoists[name] = SizeArg(name, name, 0, unit.method, values)
  return name


def function_given(unit: Unit, site: Site, need: Need, call: ast.Call | None) -> str | None:
  """What the call of a layer gives for such an argument, if `__init__` can say it."""
  if need.axis != 0 or need.call_parameter is None or call is None:
    return None
  given = unit.argument(call, site, need.call_parameter)
  try:
    return unit.static(given) if given is not None else None
  except NotStatic:
    return None


def _is_function(value: Any) -> bool:
  return callable(value) and not isinstance(value, nn.Module | type) and not hasattr(value, "shape")


def _method(unit: Unit, node: ast.AST) -> list[ast.AST]:
  method = unit.info.methods.get(unit.method)
  return list(ast.walk(method)) if method is not None else []
