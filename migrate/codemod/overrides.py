"""Classes that override what Linen offers its modules: `param`, through which a layer reads its parameters."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.core.declare import LayerMapping

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

# what Linen's modules and layers call on themselves; NNX's have no such methods, or do not call them
_SERVICES = {
  "param", "variable", "make_rng", "has_variable", "get_variable", "put_variable", "is_initializing",
  "is_mutable_collection", "has_rng",
}  # fmt: skip


def reads_params(unit: Unit) -> bool:
  """Whether the class gives its layer's parameters another value at each reading.

  Raises:
    MigrateError: where the class overrides a service in a way that has no counterpart.
  """
  overridden = sorted(_SERVICES & unit.info.methods.keys())
  if not overridden:
    return False
  name = overridden[0]
  node = unit.info.methods[name]
  stock = unit.project.stock_base(unit.info.cls)
  record = unit.project.record(stock) if stock is not None else None
  if overridden == ["param"] and record is not None and _is_plain(record) and _only_reads(unit, node):
    return True
  raise unit.refusal(node, f"{unit.info.name} overrides Linen's `{name}`, which NNX modules do not call",
                     "a layer that reads its parameters as NNX does", "write what it changes into `__call__`")  # fmt: skip


def _is_plain(record: LayerMapping) -> bool:
  """Whether the NNX layer holds Linen's parameters themselves, under the same names."""
  leaves = [leaf for leaf in record.leaves if any(p[0] == "params" for p in leaf.linen)]
  same = all(not leaf.ops and [p[1:] for p in leaf.linen] == list(leaf.nnx) for leaf in leaves)
  return same and all(len(p) == 1 for leaf in leaves for p in leaf.nnx) and not record.nnx.startswith("template:")


def _only_reads(unit: Unit, node: ast.FunctionDef) -> bool:
  """Whether the method hands its arguments on to `super().param` and uses none of them but the name."""
  names = [a.arg for a in [*node.args.posonlyargs, *node.args.args]]
  if len(names) < 2 or node.decorator_list or "__call__" in unit.info.methods:
    return False
  calls = [n for n in ast.walk(node) if isinstance(n, ast.Call) and is_super(n, "param")]
  inside = {n for c in calls for a in [*c.args[1:], *c.keywords] for n in ast.walk(a)}
  firsts = [c.args[0] for c in calls if c.args]
  others = {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)} - set(names[:2])
  used = {n.id for s in node.body for n in ast.walk(s) if isinstance(n, ast.Name) and n not in inside}
  stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
  named = len(firsts) == len(calls) and all(isinstance(f, ast.Name) and f.id == names[1] for f in firsts)
  return bool(calls) and named and not used & others and names[1] not in stored


def is_super(node: ast.Call, method: str) -> bool:
  """Whether a call is `super().<method>(...)`."""
  function = node.func
  return (
    isinstance(function, ast.Attribute)
    and function.attr == method
    and isinstance(function.value, ast.Call)
    and isinstance(function.value.func, ast.Name)
    and function.value.func.id == "super"
  )


def reading_header(unit: Unit, node: ast.FunctionDef, header: str) -> str:
  """The method's first lines without the arguments that only Linen's `param` took."""
  arguments = node.args
  kept = [*arguments.posonlyargs, *arguments.args][:2]
  returns = f" -> {unit.text(node.returns)}" if node.returns is not None else ""
  start = header.index("def ")
  tail = header[len(header.rstrip()) :]
  return f"{header[:start]}def {node.name}({', '.join(unit.source.code(a) for a in kept)}){returns}:{tail or ' '}"


def reading_call(unit: Unit, node: ast.FunctionDef) -> str:
  """The `__call__` that reads the layer's parameters through the method."""
  stock = unit.project.stock_base(unit.info.cls)
  record = unit.project.record(stock) if stock is not None else None
  assert record is not None
  unit.need_import("from flax import nnx")
  function = unit.template("template:read_params.call_reading")
  indent = unit.source.indent(node)
  layer = record.nnx.replace("flax.nnx", "nnx")
  text = f"\n{indent}def __call__(self, *args, **kwargs):\n"
  return text + f"{indent}{unit.step}return {function}({layer}, self, self.param, *args, **kwargs)\n"
