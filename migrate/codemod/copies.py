"""Copies of a module that a class is given (`self.block.copy()`, `.clone()`): the field takes a function that makes one."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.scope import Stmt
from migrate.codemod.source import dotted
from migrate.core.report import Finding

if TYPE_CHECKING:
  from migrate.codemod.site import Site
  from migrate.codemod.unit import Unit

_COPIES = ("clone", "copy")


def template_of(unit: Unit, node: ast.AST) -> str:
  """The field whose module `self.block.copy(name=...)` copies; empty for anything else.

  Raises:
    Refused: where a copy is made that no function of the field could make.
  """
  field = _copied_field(unit, node)
  if not field:
    return ""
  assert isinstance(node, ast.Call)
  own = next((f for f in unit.info.fields if f.name == field), None)
  if own is None:
    return ""
  if own.default is not None:
    raise unit.refusal(node, f"a copy of `{field}`, which has a default", "a module that every caller gives",
                       "make the default a function that makes the module, and call it")  # fmt: skip
  changed = [k.arg or "**" for k in node.keywords if k.arg not in ("name", "parent")]
  if changed:
    raise unit.refusal(node, f"a copy of `{field}` with another `{changed[0]}`", "copies of one module",
                       "give a function that makes the module, and call it")  # fmt: skip
  for read in ast.walk(unit.info.node):
    if isinstance(read, ast.Attribute) and read.attr == field and dotted(read.value) == unit.self_name:
      above = unit.source.parents.get(read)
      called = isinstance(above, ast.Call) and above.func is read
      copied = isinstance(above, ast.Attribute) and above.attr in _COPIES
      if not called and not copied:
        raise unit.refusal(read, f"`{field}` is copied and read", "a module that is only copied and called",
                           "give a function that makes the module, and call it")  # fmt: skip
  return field


def _copied_field(unit: Unit, node: ast.AST) -> str:
  if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in _COPIES:
    return ""
  owner = node.func.value
  if not isinstance(owner, ast.Attribute) or dotted(owner.value) != unit.self_name:
    return ""
  values = [e.value for e in unit.events(owner)]
  return owner.attr if values and all(isinstance(v, nn.Module) for v in values) else ""


def make_by_template(unit: Unit, site: Site, field: str) -> None:
  """Has a site call the field for a module.

  Raises:
    Refused: where the copies need different sizes.
  """
  by_owner: dict[Any, set[Any]] = {}
  for need in site.needs:
    for (activation, _, _), value in zip(site.made, need.values, strict=True):
      by_owner.setdefault((unit.owner_key(activation), need.parameter), set()).add(value)
  several = next((name for (_, name), values in by_owner.items() if len(values - {None}) > 1), None)
  if several is not None:
    raise unit.refusal(site.node, f"copies of `{field}` that differ in `{several}`", "copies of one size",
                       "give a function that takes the size and makes the module")  # fmt: skip
  site.needs, site.template = [], field
  if field not in unit.maker_fields and any(_called(unit, n, field) for n in ast.walk(unit.info.node)):
    unit.block.append(Stmt(lambda: f"self.{field} = {field}({unit.rngs_argument})", keep=True))
  unit.maker_fields.add(field)
  unit.note(Finding(unit.where(site.node), f"`{field}` is copied", "a module that can be made again",
                    f"the field takes a function of nnx.Rngs that makes it: {field}=lambda rngs: ...", "note", "L2N119"))  # fmt: skip


def handed_on(unit: Unit, site: Site, field: str, value: ast.expr) -> str:
  """What a class that copies a module gets where Linen's code hands it one.

  Args:
    unit: the class with the construction.
    site: the construction.
    field: of the class that is made.
    value: what Linen's code gives for it.

  Returns:
    The function as text; empty where the argument makes the module, so that a lambda around it will do.

  Raises:
    Refused: where the module has been made elsewhere.
  """
  if unit.creates(value):
    return ""
  own = value.attr if isinstance(value, ast.Attribute) and dotted(value.value) == unit.self_name else ""
  reads = [n for n in ast.walk(unit.info.node) if isinstance(n, ast.Attribute) and n.attr == own]
  if not any(f.name == own and f.default is None for f in unit.info.fields) or len(reads) > 1:
    raise unit.refusal(site.node, f"`{field}` is copied, and is a module that has been made already",
                       "a module that is made where it is handed over", f"make it in the argument `{field}`")  # fmt: skip
  unit.maker_fields.add(own)
  return own


def _called(unit: Unit, node: ast.AST, field: str) -> bool:
  return isinstance(node, ast.Call) and dotted(node.func) == f"{unit.self_name}.{field}"
