"""Subclasses of Linen's own layers: they become subclasses of the NNX layers, which take the layer's arguments."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
from typing import TYPE_CHECKING, Any

from migrate.codemod.names import lookup
from migrate.codemod.source import dotted
from migrate.core.declare import LayerMapping

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


@dataclasses.dataclass
class StockArguments:
  """How a subclass's constructor hands the layer its arguments; the rest goes through `*args` and `**kwargs`.

  Attributes:
    rows: parameters that the subclass reads itself and the NNX layer does not keep.
    passed: these, as arguments of the layer's constructor.
    kept: their names.
    again: fields of the layer that the subclass declares again, with a default of its own, and that the NNX layer keeps.
  """

  rows: list[str]
  passed: list[str]
  kept: list[str]
  again: set[str]


def layer_names(record: LayerMapping | None) -> dict[str, str]:
  """What the NNX layer calls the Linen layer's fields, where the names differ."""
  return {a.linen: a.nnx for a in record.args if a.fate == "rename" and a.linen and a.nnx} if record is not None else {}


def stock_arguments(unit: Unit) -> StockArguments | None:
  """The constructor of a subclass of a layer, or None where the class is no such subclass.

  Raises:
    MigrateError: where the subclass calls nothing of the layer's, or reads what the NNX layer has not.
  """
  base = unit.project.stock_base(unit.info.cls)
  record = unit.project.record(base) if base is not None else None
  if base is None or record is None or not any(b is base for b in unit.info.cls.__bases__):
    return None
  target = lookup(record.nnx.replace("template:", "mappings.templates."))
  gone = {n for call in unit.stock_parameters for n in ast.walk(call)}
  read = {
    n.attr
    for n in ast.walk(unit.info.node)
    if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "self" and n not in gone
  }
  text = inspect.getsource(target.__init__) if target is not None else ""
  parameters = inspect.signature(target.__init__).parameters if target is not None else {}
  found = StockArguments([], [], [], set())
  own, names = {f.name for f in unit.info.fields}, layer_names(record)
  for name in base.__dataclass_fields__:
    if name in own and names.get(name, name) in parameters:
      found.passed.append(f"{names.get(name, name)}={name}")
      found.again |= {name} if f"self.{name} =" in text else set()
      continue
    if name not in read or name in ("parent", "name") or name in unit.layer_names or f"self.{name} =" in text:
      continue
    if name not in parameters:
      raise unit.refusal(unit.info.node, f"{unit.info.name} reads `self.{name}`, which the NNX layer has not",
                         f"a field that {record.nnx} knows", "write the layer as a module of its own")  # fmt: skip
    default = _spelled(unit, parameters[name].default, target.__module__)
    found.rows.append(f"{name}={default}" if default is not None else name)
    found.passed.append(f"{name}={name}")
    found.kept.append(name)
  return found


def stock_parameter(unit: Unit, node: ast.Call, name: ast.expr, maker: ast.expr | None) -> str | None:
  """`self.param("kernel", self.kernel_init, ...)` in a subclass of a layer that makes the same: the layer's own.

  Args:
    unit: the class.
    node: the call of `self.param`.
    name: the parameter's name.
    maker: what makes its first value.

  Returns:
    The attribute; None where the layer makes no such parameter, or makes it otherwise.
  """
  base = unit.project.stock_base(unit.info.cls)
  record = unit.project.record(base) if base is not None else None
  if base is None or record is None or unit.loops or not isinstance(name, ast.Constant):
    return None
  path = ("params", str(name.value))
  leaf = next((one for one in record.leaves if one.linen == (path,) and not one.ops and len(one.nnx[0]) == 1), None)
  field = maker.attr if isinstance(maker, ast.Attribute) and dotted(maker.value) == (unit.self_name or "self") else None
  if leaf is None or field != f"{name.value}_init" or field not in base.__dataclass_fields__:
    return None
  fields = {(a.nnx or a.linen): a.linen for a in record.args if a.fate in ("same", "rename")}
  seen = unit.events(node)
  for event in seen:
    wanted = [getattr(event.activation.module, str(fields.get(axis)), None) for axis in leaf.axes.split()]
    shape = getattr(event.value, "shape", ())
    if len(shape) != len(wanted) or any(type(n) is int and n != s for n, s in zip(wanted, shape, strict=True)):
      return None  # another size than the layer's
  if not seen and not isinstance(unit.source.parents.get(unit.source.parents.get(node)), ast.If):  # pyright: ignore
    return None  # where a field switches it off, it is off in the layer as well
  unit.stock_parameters.add(node)
  return leaf.nnx[0][0]


def _spelled(unit: Unit, value: Any, module: str) -> str | None:
  """A default of the NNX layer's constructor as text, or None where it has no name."""
  if value is None or isinstance(value, bool | int | float | str):
    return repr(value)
  name = next((n for n, v in vars(sys.modules[module]).items() if v is value), None)
  if name is not None:
    unit.need_import(f"from {module} import {name}")
  return name
