"""Norms of one's own that end in Linen's `_normalize`, which makes the scale and the bias of the module it is given."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING

from flax.linen import normalization

from migrate.codemod.project import Event
from migrate.codemod.remarks import layout_call
from migrate.codemod.scope import Stmt
from migrate.core.report import MigrateError

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_LINEN = "flax.linen.normalization._normalize"


def normalized(unit: Unit, node: ast.Call) -> str | None:
  """`_normalize(self, x, ...)`: the parameters are made in `__init__`, and NNX's function of that name takes them.

  Args:
    unit: the class.
    node: any call of a method.

  Returns:
    The call as NNX has it; None where it is another one.

  Raises:
    MigrateError: where the parameters' sizes differ in a way that no expression says.
  """
  if unit.resolve(node.func) != _LINEN or any(isinstance(a, ast.Starred) for a in node.args):
    return None
  names = list(inspect.signature(normalization._normalize).parameters)
  given = dict(zip(names, node.args, strict=False)) | {k.arg: k.value for k in node.keywords if k.arg}
  owner = given.get("mdl")
  if not isinstance(owner, ast.Name) or owner.id != unit.self_name or unit.loops:
    return None
  if "force_float32_reductions" in given or not set(names[:-1]) <= set(given):
    raise _refused(unit, node, "arguments that NNX's has not")
  shape = _shape(unit, node, given["x"], given["feature_axes"])
  made = {n: _parameter(unit, node, n, shape, given) for n in ("scale", "bias")}
  unit.need_import("from flax.nnx.nn.normalization import _normalize")
  order = ("x", "mean", "var", "scale", "bias", "reduction_axes", "feature_axes", "dtype", "epsilon")
  arguments = [made.get(n) or unit.text(given[n]) for n in order]
  return layout_call("_normalize", arguments, unit.source.indent(node))


def _shape(unit: Unit, node: ast.Call, x: ast.expr, axes: ast.expr) -> str:
  """The sizes of the feature axes, as `__init__` has them."""
  seen = {_positive(e) for e in unit.events(axes)}
  ranks = {len(e.value.shape) for e in unit.array_events(x) or ()}
  dims = unit.dims(x)
  only = (seen.pop() if len(seen) == 1 else None) or ()
  if not only or dims is None or ranks != {len(dims)}:
    raise _refused(unit, node, "feature axes that differ")
  sizes = [unit.pick(dims[axis % len(dims)]) for axis in only]
  if any(s is None for s in sizes):
    raise _refused(unit, node, "sizes that only the call knows")
  return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"


def _positive(event: Event) -> tuple[int, ...] | None:
  value = event.value if isinstance(event.value, tuple | list) else (event.value,)
  return tuple(value) if all(type(v) is int for v in value) else None


def _parameter(unit: Unit, node: ast.Call, name: str, shape: str, given: dict[str, ast.expr]) -> str:
  """Makes a parameter where the call uses one; what to write for it."""
  wanted = given[f"use_{name}"]
  never = isinstance(wanted, ast.Constant) and not wanted.value
  if never:
    return "None"
  attr = unit.attribute(name, prefer=True)
  unit.readable.add(attr)
  unit.variable_attrs[name] = attr
  unit.record_variable("params", ast.Constant(name), attr, node)
  first, kind = unit.static(given[f"{name}_init"]), unit.static(given["param_dtype"])
  value = f"nnx.Param({first}({unit.rngs_argument}.params(), {shape}, {kind}))"
  always = isinstance(wanted, ast.Constant)
  text = value if always else f"{value} if {unit.static(wanted)} else nnx.data(None)"
  unit.need_import("from flax import nnx")
  unit.block.append(Stmt(lambda: f"self.{attr} = {text}", keep=True))
  return f"self.{attr}"


def _refused(unit: Unit, node: ast.Call, what: str) -> MigrateError:
  return unit.refusal(node, f"Linen's private `_normalize` with {what}", "sizes known at construction, the usual arguments",
                      "make the scale and the bias with self.param")  # fmt: skip
