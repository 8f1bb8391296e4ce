"""Methods of Linen's layers other than `__call__`: `cell.initialize_carry(key, shape)`, as the record of the layer says it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.site import parameters_of
from migrate.codemod.source import dotted
from migrate.core.declare import LayerMapping

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def owners_of_method(unit: Unit, node: ast.Call) -> list[Any]:
  """The layers of which a call asks a method that their record tells of; none for any other call.

  Args:
    unit: the class being rewritten.
    node: a call.
  """
  if not isinstance(node.func, ast.Attribute) or dotted(node.func.value) == unit.self_name:
    return []
  owners = [e.value for e in unit.events(node.func.value)] or _in_field(unit, node.func.value)
  if not owners or not all(isinstance(o, nn.Module) for o in owners):
    return []
  name = node.func.attr
  records = [unit.project.record(type(o)) for o in owners]
  told = {(name in r.methods, dict(r.method_code).get(name)) if r is not None else None for r in records}
  if len(told) != 1 or told <= {None, (False, None)}:
    return []
  return list({id(o): o for o in owners}.values())


def _in_field(unit: Unit, node: ast.expr) -> list[Any]:
  """What a field or an attribute of `setup` held wherever an example came, for a method that no example runs."""
  if not isinstance(node, ast.Attribute) or dotted(node.value) != unit.self_name:
    return []
  if (site := next((s for s in unit.setup_sites if s.attr == node.attr and not s.looped), None)) is not None:
    return [m for _, _, m in site.made]
  calls = (c for fact in unit.project.facts for c in fact.calls if isinstance(c.module, unit.info.cls))
  return [getattr(c.module, node.attr, None) for c in calls] if node.attr in unit.field_names else []


def method_text(unit: Unit, node: ast.Call, record: LayerMapping, owners: list[Any]) -> str:
  """A call of such a method as NNX spells it.

  Args:
    unit: the class being rewritten.
    node: the call.
    record: the layer's, which has code for the method.
    owners: the layers, as `owners_of_method` finds them.
  """
  assert isinstance(node.func, ast.Attribute)
  name = node.func.attr
  order = parameters_of(type(owners[0]), name) if owners else []
  given = dict(zip(order, [unit.text(a) for a in node.args], strict=False))
  given |= {k.arg: unit.text(k.value) for k in node.keywords if k.arg}
  code = dict(record.method_code)[name].replace("{layer}", unit.text(node.func.value))
  for parameter, text in given.items():
    code = code.replace("{" + parameter + "}", text)
  return unit.template(code)
