"""What only Linen's unbound modules offer (`net.init`, `layer.bind`), read inside a module: told, since NNX has none of it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flax import linen as nn

from migrate.codemod.settled import makes_first_values

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_UNBOUND = {
  "init": "the shapes of its parameters are those of nnx.state(module, nnx.Param) once it is made",
  "init_with_output": "an NNX module is made by its constructor",
  "lazy_init": "an NNX module is made by its constructor",
  "apply": "give the arrays to a copy: nnx.merge(graphdef, state)(...)",
  "bind": "give the arrays to a copy: nnx.merge(graphdef, state)",
  "unbind": "nnx.split(module) gives structure and state",
  "clone": "make the module by a function, and call it once for every copy",
  "copy": "make the module by a function, and call it once for every copy",
  "tabulate": "nnx.tabulate(module, ...) shows it",
}


def tell_unbound(unit: Unit, node: ast.Attribute) -> None:
  """Leaves a finding where a module's attribute is one that an NNX module does not have."""
  if node.attr not in _UNBOUND or not isinstance(node.ctx, ast.Load):
    return
  around = next((n for n in unit.source.enclosing(node) if isinstance(n, ast.Lambda | ast.FunctionDef)), None)
  if around is not None and makes_first_values(unit, around):
    return  # it goes to the constructor
  owners = [e.value for e in unit.events(node.value)]
  if not owners and isinstance(node.value, ast.Name) and node.value.id == unit.self_name:
    if getattr(unit.info.cls, node.attr, None) is getattr(nn.Module, node.attr):  # in a method that no example calls
      unit.leave(node, f"`{unit.source.code(node)}` ({_UNBOUND[node.attr]})")
    return
  if owners and all(isinstance(o, nn.Module) and _is_linen_s(o, node.attr) for o in owners):
    unit.leave(node, f"`{unit.source.code(node)}` of a module inside another ({_UNBOUND[node.attr]})")


def _is_linen_s(module: nn.Module, name: str) -> bool:
  return getattr(type(module), name, None) is getattr(nn.Module, name)
