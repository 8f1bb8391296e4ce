"""Arrays that are None until a round of a loop gives them: `out = None`, then `if out is None: out = y` in the loop.

`__init__` keeps the last axis in the array's stead: `out_features = None`, then `if out_features is None:`.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.scope import Dims, Local, Stmt

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def state_size(unit: Unit, node: ast.AST, name: str) -> str | None:
  """The local of `__init__` for the last axis of such an array; None for any other name.

  Args:
    unit: whose method is written.
    node: an expression or statement of the method.
    name: the local.
  """
  method = next((n for n in unit.source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
  if unit.in_setup or unit.function_depth or method is None or name in unit.parameters:
    return None
  inside = [n for n in ast.walk(method) if isinstance(n, ast.Assign) and _given(n) == name]
  empty = [n for n in inside if isinstance(n.value, ast.Constant) and n.value.value is None]
  loops = [n for n in ast.walk(method) if isinstance(n, ast.For | ast.While)]
  if not empty or not any(_gives_and_asks(unit, loop, inside, name) for loop in loops):
    return None
  size = unit.size_name(name, 0, 1)
  return size if size not in unit.local_names else None


def asks_state(unit: Unit, test: ast.AST) -> str | None:
  """`out is None` by the array's size; None for any other test, and where the size was not told."""
  name = _asked(test)
  size = state_size(unit, test, name) if name is not None else None
  if size is None or size not in unit.env or not isinstance(test, ast.Compare):
    return None
  return f"{size} is {'not ' if isinstance(test.ops[0], ast.IsNot) else ''}None"


def note_state(unit: Unit, node: ast.stmt) -> None:
  """Has `__init__` keep what a statement gives such an array."""
  name = _given(node)
  size = state_size(unit, node, name) if name is not None else None
  if size is None or name is None or not isinstance(node, ast.Assign):
    return
  local = unit.env.get(name)
  dims = local.dims if local is not None and local.kind == "array" else None
  empty = isinstance(node.value, ast.Constant) and node.value.value is None
  text = "None" if empty else unit.pick(dims[-1]) if dims else None
  if text is None:
    unit.env.pop(size, None)  # unknown from here on
    return
  unit.env[size] = Local("static", None)
  unit.block.append(Stmt(lambda: f"{size} = {text}", frozenset({size})))


def state_dims(unit: Unit, node: ast.Name) -> Dims | None:
  """The axes of such an array where an earlier round may have given it."""
  events = unit.array_events(node)
  size = state_size(unit, node, node.id) if events else None
  if not events or size is None or size not in unit.env:
    return None
  return [*([] for _ in range(min(len(e.value.shape) for e in events) - 1)), [size]]


def _given(node: ast.AST) -> str | None:
  """The one name that a statement gives a value."""
  target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
  return target.id if isinstance(target, ast.Name) else None


def _asked(test: ast.AST) -> str | None:
  """The name that a comparison with None asks for."""
  if not isinstance(test, ast.Compare) or not isinstance(test.left, ast.Name) or len(test.ops) != 1:
    return None
  other = test.comparators[0]
  none = isinstance(other, ast.Constant) and other.value is None
  return test.left.id if none and isinstance(test.ops[0], ast.Is | ast.IsNot) else None


def _gives_and_asks(unit: Unit, loop: ast.AST, given: list[ast.Assign], name: str) -> bool:
  inside = set(ast.walk(loop))
  arrays = [n for n in given if n in inside and unit.array_events(n.value)]
  return bool(arrays) and any(_asked(n) == name for n in inside)
