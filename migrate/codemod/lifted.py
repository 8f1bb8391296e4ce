"""Methods and functions under a lifted transform of Linen's, as NNX lifts them."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.names import lookup, spell
from migrate.codemod.remarks import layout_call
from migrate.codemod.shared_steps import shared_step
from migrate.codemod.stacks import call_of, stacked_module
from migrate.codemod.transforms import DECORATORS
from migrate.core.report import Finding

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_LOOPS = {f"flax.linen.{home}{name}": name for home in ("", "transforms.") for name in ("scan", "vmap")}
_OF_CLASSES = {f"flax.linen.{home}{name}" for home in ("", "transforms.") for name in ("map_variables", "remat_scan")}
_TWO_WAYS = ("trans_out_fn", "mutable", "methods", "variable_broadcast", "variable_carry", "variable_axes")
_KINDS = {
  "params": "nnx.Param",
  "batch_stats": "nnx.BatchStat",
  "cache": "nnx.Cache",
  "intermediates": "nnx.Intermediate",
}
_PASSED = {"scan": ("length", "reverse", "unroll"), "vmap": ("axis_size", "axis_name", "spmd_axis_name")}


def lifted(unit: Unit, node: ast.FunctionDef, decorator: ast.expr) -> str | None:
  """`@nn.jit`, `@partial(nn.remat, ...)`, `@partial(nn.scan, ...)` for NNX; None for other decorators.

  Args:
    unit: the class of the method.
    node: the method.
    decorator: one of its decorators.
  """
  target, keywords = decorator, []
  if isinstance(decorator, ast.Call):
    target, keywords = decorator.func, decorator.keywords
    if unit.resolve(target) == "functools.partial" and len(decorator.args) == 1:
      target = decorator.args[0]
    elif decorator.args:
      return None
  full, splits = unit.resolve(target), ""
  given: list[str] | None
  if full in _LOOPS:
    function, told = f"nnx.{_LOOPS[full]}", {k.arg: k.value for k in keywords}
    splits = _splitting(unit, told) if _LOOPS[full] == "scan" else ""
    given = _loop(unit, node.args, _LOOPS[full], told, steps=splits or None)
    if given is None and _LOOPS[full] == "vmap":
      raise unit.refusal(decorator, f"`nn.vmap` of the method `{node.name}`, with variables of its own for every step",
                         "a class that is mapped", "let the method stand in a class, and map that: `nn.vmap(Class, ...)`")  # fmt: skip
    if given is None:
      return None
    splits = splits if any("nnx.RngState: 0" in g for g in given) else ""
    unit.need_import("from flax import nnx")
  elif full in DECORATORS:
    name, known = DECORATORS[full]
    if name.startswith("template:"):
      function = unit.template(name)
    else:
      function, statement = spell(name)
      unit.need_import(statement)
    given = _same(unit, keywords, known)
  else:
    return None
  if not given:
    return function
  partial = "functools.partial"
  if isinstance(decorator, ast.Call) and unit.resolve(decorator.func) == partial:
    partial = unit.text(decorator.func)
  else:
    unit.need_import("import functools")
  if splits.startswith("template:"):
    splits = unit.template(splits)
  above = f"{splits}\n{unit.source.indent(node)}@" if splits else ""
  return above + layout_call(partial, [function, *given], unit.source.indent(node), 99)


def _splitting(unit: Unit, given: dict[str | None, ast.expr]) -> str:
  """The decorator that gives every step of a scanned method streams of its own; empty where none can."""
  if "length" in given:
    return f"nnx.split_rngs(splits={unit.text(given['length'])})"
  axis: ast.expr | None = given.get("in_axes")
  if isinstance(axis, ast.Tuple | ast.List):
    axis = axis.elts[0] if axis.elts else None
  written = ast.unparse(axis) if axis is not None else "0"
  return f"template:split_steps.split_steps({written})" if written.lstrip("-").isdigit() else ""


def lifted_function(unit: Unit, node: ast.Call) -> str | None:
  """`nn.scan(body, variable_broadcast="params", ...)` of a function for NNX; None for any other call."""
  full = unit.resolve(node.func)
  refused = beyond_template(unit, node, full)
  if refused:
    unit.leave(node, refused)
    return unit.source.code(node)
  if full not in _LOOPS or len(node.args) != 1:
    return None
  parameters = _parameters(unit, node.args[0])
  given = {k.arg: k.value for k in node.keywords}
  module = stacked_module(unit, node, given) if parameters is not None else None
  steps = _steps(unit, node, given) if module is None and _LOOPS[full] == "scan" else None
  written = _loop(unit, parameters, _LOOPS[full], given, module, steps) if parameters is not None else None
  if written is None:
    if not _is_function(unit, node.args[0]):
      return None
    unit.leave(node, f"{full} of a function, with a module or with variables that are not made here for every step")
    return unit.source.code(node)
  unit.need_import("from flax import nnx")
  statement = next((n for n in unit.source.enclosing(node) if isinstance(n, ast.stmt)), None)
  indent = unit.source.indent(statement) if statement is not None else ""
  text = layout_call(f"nnx.{_LOOPS[full]}", [unit.text(node.args[0]), *written], indent, 90)
  return f"nnx.split_rngs(splits={steps})({text})" if any("nnx.RngState: 0" in w for w in written) else text


def _steps(unit: Unit, node: ast.Call, given: dict[str | None, ast.expr]) -> str | None:
  """How often a scan steps, as an expression beside it: its length, or the axis of the first input along which it goes."""
  if "length" in given:
    return unit.text(given["length"])
  call = call_of(unit, node)
  each = given.get("in_axes")
  for i, argument in enumerate(call.args[2:] if call is not None else ()):
    axis = each.elts[i] if isinstance(each, ast.Tuple | ast.List) and i < len(each.elts) else each
    written = ast.unparse(axis) if axis is not None else "0"
    parts = argument.elts if isinstance(argument, ast.Tuple | ast.List) else [argument]
    array = next((p for p in parts if isinstance(p, ast.Name | ast.Attribute) and unit.array_events(p)), None)
    if written.lstrip("-").isdigit() and array is not None:
      return f"{unit.text(array)}.shape[{written}]"
  return None


def beyond_template(unit: Unit, node: ast.Call, full: str | None) -> str:
  """What our class for `nn.map_variables` or `nn.remat_scan` does not cover; empty where it covers the call."""
  if full not in _OF_CLASSES:
    return ""
  if node.args and _is_function(unit, node.args[0]):
    return f"{full} of a function"
  told = [k.arg for k in node.keywords if k.arg in _TWO_WAYS and not _is_off(k.value)]
  if told or len(node.args) > 3:
    return f"{full} with {told[0] if told else 'more than three positional arguments'}"
  return ""


def _is_off(value: ast.expr) -> bool:
  return isinstance(value, ast.Constant) and value.value in (None, False)


def _is_function(unit: Unit, node: ast.expr) -> bool:
  """Whether what is lifted was a function every time, rather than a class or a partial of one."""
  values = [e.value for e in unit.events(node)]
  return isinstance(node, ast.Lambda) or (bool(values) and all(inspect.isfunction(v) for v in values))


def _parameters(unit: Unit, function: ast.expr) -> ast.arguments | None:
  """The parameters of a function that is written here: a lambda, a function of this method or of this file."""
  if isinstance(function, ast.Lambda):
    return function.args
  if isinstance(function, ast.Attribute):  # `Block.__call__`
    owners = [unit.project.info(e.value) for e in unit.events(function.value) if isinstance(e.value, type)]
    method = owners[0].methods.get(function.attr) if owners and owners[0] is not None else None
    return method.args if method is not None else None
  if not isinstance(function, ast.Name):
    return None
  scopes = [n for n in unit.source.enclosing(function) if isinstance(n, ast.FunctionDef | ast.Module)]
  for scope in scopes:
    found = [n for n in ast.walk(scope) if isinstance(n, ast.FunctionDef) and n.name == function.id]
    if isinstance(scope, ast.Module):
      found = [n for n in scope.body if isinstance(n, ast.FunctionDef) and n.name == function.id]
    if found:
      makes = len(found) > 1 or (unit.makes_layers(found[0], unit.source) and shared_step(unit, found[0]) is None)
      return None if makes else found[0].args
  return None


def _same(unit: Unit, keywords: list[ast.keyword], known: tuple[str, ...]) -> list[str]:
  """Arguments that mean the same; the module itself is an argument in NNX, whatever Linen was told."""
  given = []
  for keyword in keywords:
    if keyword.arg is None or keyword.arg not in known:
      continue
    value: ast.expr = keyword.value
    if keyword.arg in ("static_argnums", "static_argnames"):
      whole = value.elts if isinstance(value, ast.Tuple | ast.List) else [value]
      kept = [unit.text(v) for v in whole if not (isinstance(v, ast.Constant) and v.value in (0, unit.self_name))]
      if kept:
        given.append(f"{keyword.arg}=({', '.join(kept)}{',' if len(kept) == 1 else ''})")
      continue
    given.append(f"{keyword.arg}={unit.text(value)}")
  return given


def _loop(
  unit: Unit,
  parameters: ast.arguments,
  name: str,
  given: dict[str | None, ast.expr],
  stacked_axes: str | None = None,
  steps: str | None = None,
) -> list[str] | None:
  """Arguments of `nnx.scan` and `nnx.vmap` over a function; None where they cannot be told.

  Args:
    unit: the class with the function.
    parameters: of the function; the first is the module.
    name: `scan` or `vmap`.
    given: what Linen's transform was given.
    stacked_axes: of a module made stacked, the axes of its Variables; None where it is one for all steps.
    steps: how many, where streams can be split for them; None where a stream goes from step to step instead.
  """
  stacked = _known(unit, given.get("variable_axes"), {})
  shared, carried = _known(unit, given.get("variable_broadcast"), ()), _known(unit, given.get("variable_carry"), ())
  streams = _known(unit, given.get("split_rngs"), {})
  if None in (stacked, shared, carried, streams) or None in given or parameters.vararg or parameters.kwonlyargs:
    return None
  if stacked_axes is None and (not isinstance(stacked, dict) or any(axis is not None for axis in stacked.values())):
    return None  # variables of their own for every step are made in `__init__`, which this does not reach
  axes: dict[str, str] = {}
  for collection in [carried] if isinstance(carried, str) else list(carried or ()):
    if collection not in _KINDS:
      return None
    axes[_KINDS[collection]] = "nnx.Carry"
  if stacked_axes is None and isinstance(streams, dict) and any(s != "params" for s in streams) and draws(unit):
    if name == "vmap":
      return None
    each_its_own = steps is not None and all(streams[s] for s in streams if s != "params")
    axes["nnx.RngState"] = "0" if each_its_own else "nnx.Carry"
  module = f"nnx.StateAxes({{{', '.join(f'{k}: {a}' for k, a in axes.items())}, ...: None}})" if axes else "None"
  module = stacked_axes or module
  before = [module, "nnx.Carry"] if name == "scan" else [module]
  inputs = len(parameters.posonlyargs) + len(parameters.args) - len(before)
  each = given.get("in_axes")
  if isinstance(each, ast.Tuple | ast.List):
    rows = [_axis(unit, e) for e in each.elts]
  else:
    rows = [_axis(unit, each)] * inputs
  if len(rows) != inputs:
    return None
  out = _axis(unit, given.get("out_axes"))
  found = [f"in_axes=({', '.join([*before, *rows])}{',' if len(before) + len(rows) == 1 else ''})"]
  found.append(f"out_axes=(nnx.Carry, {out})" if name == "scan" else f"out_axes={out}")
  return found + [f"{k}={unit.text(given[k])}" for k in _PASSED[name] if k in given]


def draws(unit: Unit) -> bool:
  """Whether an instance, or anything in one, may draw random numbers in a call."""
  for fact in unit.project.facts:
    inside = [c.path for c in fact.calls if isinstance(c.module, unit.info.cls)]
    for call in fact.calls:
      if any(call.path[: len(path)] == path for path in inside):
        record, info = unit.project.record(type(call.module)), unit.project.info(type(call.module))
        if (record is not None and record.rngs) or (info is not None and "make_rng" in info.source.code(info.node)):
          return True
  return False


def _axis(unit: Unit, node: ast.expr | None) -> str:
  if node is None:
    return "0"
  full = unit.resolve(node)
  return "None" if full is not None and lookup(full) is nn.broadcast else unit.text(node)


def _known(unit: Unit, node: ast.expr | None, default: Any) -> Any:
  """A value written out, or a field's where all instances have the same; the default where there is none.

  None where it can't be told.
  """
  if node is None:
    return default
  try:
    found = ast.literal_eval(node)
  except (ValueError, TypeError, SyntaxError):
    values = [e.value for e in unit.events(node)]
    if not values or any(v != values[0] for v in values):
      return None
    found = dict(values[0]) if isinstance(values[0], Mapping) else values[0]
    unit.note(Finding(unit.where(node), f"`{unit.source.code(node)}` was {found!r} wherever an example came", "one value",
                      "change the lifted call where it is another", "note", "L2N114"))  # fmt: skip
  return default if found in (False, None) else found
