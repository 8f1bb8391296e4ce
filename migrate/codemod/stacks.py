"""How many modules lie side by side where `nn.vmap` of a class is told only by its inputs."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax

from migrate.codemod.site import Need, parameters_of
from migrate.trace.facts import Activation

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

AXIS_SIZE = "axis_size"
_VMAP = ("flax.linen.vmap", "flax.linen.transforms.vmap")


def stack_need(unit: Unit, node: ast.Call, made: Sequence[tuple[Activation, int, Any]]) -> Need | None:
  """The number as a size that the constructor must be told; None for any other layer.

  Args:
    unit: the class being rewritten.
    node: the construction, `nn.vmap(Block, ...)(...)` or by a name for the class.
    made: what it made.
  """
  lifted = _lifted(unit, node.func)
  if lifted is None or not made or len(lifted.args) != 1:
    return None
  given = {k.arg: k.value for k in lifted.keywords}
  axes, each = _literal(given.get("variable_axes")), _literal(given.get("in_axes"), 0)
  if AXIS_SIZE in given or not isinstance(axes, dict) or not isinstance(axes.get("params"), int):
    return None
  values = [_stacked(unit, activation, module, axes["params"]) for activation, _, module in made]
  if any(v is None for v in values):
    values = _of_inputs(unit, node, made, each)
  if not values or any(v is None for v in values):
    return None
  names = parameters_of(unit.project.plain(type(made[0][2])), "__call__")
  mapped = [
    n for i, n in enumerate(names) if (each[i] if isinstance(each, tuple) and i < len(each) else each) is not None
  ]
  return Need(AXIS_SIZE, values, mapped[0] if mapped and not isinstance(each, dict) else None, None)


def _of_inputs(unit: Unit, node: ast.Call, made: Sequence[tuple[Activation, int, Any]], each: Any) -> list[int | None]:
  """The same for layers without parameters, from what they are called with at once."""
  call = unit.source.parents.get(node)
  axes = [(i, a) for i, a in enumerate(each if isinstance(each, tuple) else (each,)) if isinstance(a, int)]
  if not isinstance(call, ast.Call) or call.func is not node or not axes or len(call.args) <= axes[0][0]:
    return []
  index, axis = axes[0]
  events = {id(e.activation): e.value.shape for e in unit.array_events(call.args[index]) or []}
  shapes = [events.get(id(activation), ()) for activation, _, _ in made]
  return [shape[axis] if -len(shape) <= axis < len(shape) else None for shape in shapes]


def _lifted(unit: Unit, function: ast.expr) -> ast.Call | None:
  """The `nn.vmap(...)` behind a class."""
  if isinstance(function, ast.Name):
    scope = next((n for n in unit.source.enclosing(function) if isinstance(n, ast.FunctionDef)), None)
    found = [
      n.value
      for n in (ast.walk(scope) if scope is not None else ())
      if isinstance(n, ast.Assign) and any(isinstance(t, ast.Name) and t.id == function.id for t in n.targets)
    ]
    function = found[0] if len(found) == 1 else function
  return function if isinstance(function, ast.Call) and unit.resolve(function.func) in _VMAP else None


def _literal(node: ast.expr | None, default: Any = None) -> Any:
  try:
    return ast.literal_eval(node) if node is not None else default
  except (ValueError, TypeError, SyntaxError):
    return None


def _stacked(unit: Unit, activation: Activation, module: Any, axis: int) -> int | None:
  """The length of the stacked axis of a module's parameters."""
  path = unit.instance_key(activation, module)[1]
  tree: Any = unit.project.fact_of(activation).variables.get("params", {})
  for part in path:
    tree = tree.get(part, {}) if hasattr(tree, "get") else {}
  leaves = jax.tree.leaves(tree) if path else []
  return leaves[0].shape[axis] if leaves and len(leaves[0].shape) > axis else None
