"""Containers of layers: a list of them is an `nnx.List` now, and no `list`."""

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


def joined_lists(unit: Unit, node: ast.AST, write: Callable[[ast.AST], str]) -> str | None:
  """`self.down + self.up` of lists of layers, which an `nnx.List` does not know; None for any other expression.

  Args:
    unit: the class.
    node: an expression of a method.
    write: gives the text of an operand.
  """
  parts = _summands(node)
  kept = [p for p in parts if isinstance(p, ast.Attribute) and ast.unparse(p) == f"{unit.self_name}.{p.attr}"]
  if not kept or len(parts) < 2:
    return None
  held = {p: [e.value for e in unit.events(p)] for p in parts}
  if not all(v and all(isinstance(x, list | tuple) for x in v) for v in held.values()):
    return None
  if not any(holds_modules(v) for p in kept for v in held[p]):
    return None
  items = [[write(e) for e in p.elts] if isinstance(p, ast.List | ast.Tuple) else [f"*{write(p)}"] for p in parts]
  return f"[{', '.join(i for row in items for i in row)}]"


def _summands(node: ast.AST) -> list[ast.expr]:
  if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
    return [*_summands(node.left), *_summands(node.right)]
  return [node] if isinstance(node, ast.expr) else []
