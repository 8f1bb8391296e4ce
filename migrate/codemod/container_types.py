"""Questions for the type of a container of layers: a list of them is an `nnx.List` now, and no `list`."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from migrate.codemod.project import holds_modules

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_NOW = {"list": "nnx.List", "tuple": "nnx.List", "dict": "nnx.Dict"}
_TYPES = {"list": list, "tuple": tuple, "dict": dict}


def asks_container(unit: Unit, node: ast.Call, write: Callable[[ast.AST], str]) -> str | None:
  """`isinstance(layer, (list, tuple))` with what NNX makes of such a list; None where it is another call.

  Args:
    unit: the class.
    node: the call.
    write: gives the text of the first argument.
  """
  if not isinstance(node.func, ast.Name) or node.func.id != "isinstance" or len(node.args) != 2:
    return None
  kinds = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
  names = [k.id for k in kinds if isinstance(k, ast.Name) and k.id in _NOW]
  values = [e.value for e in unit.events(node.args[0])]
  if not names or len(names) != len(kinds):
    return None
  asked = tuple(_TYPES[n] for n in names)  # Linen freezes attributes: a list is a tuple, a dict no `dict` any more
  if not any(isinstance(v, asked) and holds_modules(v) for v in values):
    return None
  unit.need_import("from flax import nnx")
  return f"isinstance({write(node.args[0])}, ({', '.join([*names, *dict.fromkeys(_NOW[n] for n in names)])}))"
