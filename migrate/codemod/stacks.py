"""Modules that lie side by side: how many `nn.vmap` of a class makes, and those of functions that `nn.vmap` and `nn.scan` lift."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
from flax import linen as nn

from migrate.codemod.scope import Stmt
from migrate.codemod.site import Need, Site, parameters_of
from migrate.codemod.sizes_pool import closed
from migrate.codemod.source import dotted
from migrate.core.report import Finding
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


def stacked_module(unit: Unit, node: ast.Call, given: dict[str | None, ast.expr]) -> str | None:
  """Makes the module of a lifted function stacked: `nn.vmap(lambda dense, x: dense(x), ...)(nn.Dense(3), x)`.

  Args:
    unit: the class with the function.
    node: the transform, `nn.vmap(...)` or `nn.scan(...)`.
    given: its keywords.

  Returns:
    The axes of the module's Variables, as NNX's transform takes them; None where all steps share them, or where the
    module is not made here.
  """
  axes = _literal(given.get("variable_axes"))
  call = call_of(unit, node)
  if not isinstance(axes, dict) or not isinstance(axes.get("params"), int) or call is None or not call.args:
    return None
  if "variable_broadcast" in given or "variable_carry" in given or any(type(a) is not int for a in axes.values()):
    return None
  own = given.get(AXIS_SIZE) or given.get("length")
  length = unit.try_static(own) if own is not None else None
  field = _field_of(unit, call.args[0])
  if field:
    return _maker_field(unit, node, field, length, _axes_text(axes))
  site = _site_of(unit, call.args[0])
  if site is None or site.stack is not None or not site.made:
    return None
  if length is None:
    lengths = [_stacked(unit, activation, module, axes["params"]) for activation, _, module in site.made]
    if not lengths or None in lengths:
      return None
    length = _length_of_inputs(unit, call, given, lengths) or unit.hoist(site, "length", lengths)
  text = _axes_text(axes)
  if text is None:
    return None
  site.stack = (length, text if text != "0" else "")
  inputs = call.args[2:] if unit.resolve(node.func) not in _VMAP else call.args[1:]
  unit.learn(site, ast.Call(func=site.node.func, args=inputs, keywords=call.keywords))
  return text


def _maker_field(unit: Unit, node: ast.Call, field: str, length: str | None, text: str | None) -> str | None:
  """As `stacked_module`, for a module that the class is given: it takes a function that makes one instead."""
  if length is None or text is None:
    return None
  if field not in unit.maker_fields:
    unit.maker_fields.add(field)
    rest = f", {text}" if text != "0" else ""
    made = f"self.{field} = {unit.template('template:stack.stack')}({field}, {length}, rngs{rest})"
    unit.block.append(Stmt(lambda: made, keep=True))
    unit.note(Finding(unit.where(node), f"`{field}` is made once for every step", "a module that can be made again",
                      f"the field takes a function of nnx.Rngs that makes it: {field}=lambda rngs: ...", "note", "L2N119"))  # fmt: skip
  return text


def _axes_text(axes: dict[str, int]) -> str | None:
  """The axes along which Variables are stacked, as `nnx.vmap` takes them."""
  kinds = {collection: axis for collection, axis in axes.items() if axis}
  if not set(kinds) <= {"params"}:
    return None
  return f"nnx.StateAxes({{nnx.Param: {kinds['params']}, ...: 0}})" if kinds else "0"


def _field_of(unit: Unit, module: ast.expr) -> str:
  """The field without a default that an expression reads, if nothing else of the class reads it."""
  if not isinstance(module, ast.Attribute) or dotted(module.value) != unit.self_name:
    return ""
  own = next((f for f in unit.info.fields if f.name == module.attr and f.default is None), None)
  reads = [n for n in ast.walk(unit.info.node) if isinstance(n, ast.Attribute) and n.attr == module.attr]
  values = [e.value for e in unit.events(module)]
  given = bool(values) and all(isinstance(v, nn.Module) for v in values)
  return module.attr if own is not None and given and len(reads) == 1 and not unit.loops else ""


def call_of(unit: Unit, node: ast.Call) -> ast.Call | None:
  """The one call of a transformed function."""
  parent = unit.source.parents.get(node)
  if isinstance(parent, ast.Call) and parent.func is node:
    return parent
  if not isinstance(parent, ast.Assign) or len(parent.targets) != 1 or not isinstance(parent.targets[0], ast.Name):
    return None
  name = parent.targets[0].id
  scope = next((n for n in unit.source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
  uses = [n for n in ast.walk(scope) if isinstance(n, ast.Name) and n.id == name] if scope is not None else []
  calls = [unit.source.parents.get(n) for n in uses if isinstance(n.ctx, ast.Load)]
  return calls[0] if len(calls) == 1 and len(uses) == 2 and isinstance(calls[0], ast.Call) else None  # pyright: ignore


def _site_of(unit: Unit, module: ast.expr) -> Site | None:
  """The construction behind the module that a lifted function is given, if it is used for nothing else."""
  if isinstance(module, ast.Call) and unit.creates(module):
    unit.text(module)
    return unit.sites.get(module)
  if isinstance(module, ast.Name):
    scope = next((n for n in unit.source.enclosing(module) if isinstance(n, ast.FunctionDef)), None)
    loads = [n for n in ast.walk(scope) if isinstance(n, ast.Name) and n.id == module.id] if scope is not None else []
    return unit.site_of(module) if len(loads) == 2 else None
  if isinstance(module, ast.Attribute):
    values = [e.value for e in unit.events(module)]
    found = [s for s in unit.setup_sites if any(unit.same_origin(m, values) for _, _, m in s.made)]
    return found[0] if len(found) == 1 and found[0].attr else None
  return None


def _length_of_inputs(unit: Unit, call: ast.Call, given: dict[str | None, ast.expr], lengths: list[Any]) -> str | None:
  """The axis of an input along which the steps lie, where the constructor can tell it."""
  each = _literal(given.get("in_axes"), 0)
  for i, argument in enumerate(call.args[1:]):
    axis = each[i] if isinstance(each, tuple) and i < len(each) else each
    events = unit.array_events(argument)
    dims = unit.dims(argument) if events else None
    if isinstance(axis, int) and events and dims and {e.value.shape[axis] for e in events} == set(lengths):
      found = next((c for c in dims[axis] if closed(c)), None)
      if found is not None:
        return found
  return None


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
