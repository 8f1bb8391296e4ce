"""Calls of lifted functions that take the module beside their operands: `nn.while_loop`, `nn.grad` and their kin.

Where the loop or the derivative only reads the module, JAX's own function over one that closes over it does the same.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flax import linen as nn

from migrate.codemod.lifted import draws
from migrate.codemod.remarks import layout_call
from migrate.codemod.scope import Local

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_KNOWN = {f"flax.linen.{home}{name}": name for home in ("", "transforms.")
          for name in ("while_loop", "grad", "value_and_grad", "vjp", "jvp")}  # fmt: skip
_PLACES = {
  "while_loop": ("cond_fn", "body_fn", "mdl", "init", "carry_variables", "broadcast_variables", "split_rngs"),
  "jvp": ("fn", "mdl", "primals", "tangents", "variable_tangents", "variables", "rngs"),
}


def lifted_call(unit: Unit, node: ast.Call) -> str | None:
  """The call without Linen; None for any other call, and where the meaning is not certain."""
  name = _KNOWN.get(unit.resolve(node.func) or "")
  if name is None or any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
    return None
  given = {str(k.arg): k.value for k in node.keywords}
  places = _PLACES.get(name, ("fn", "mdl"))
  if len(node.args) > len(places) and name in _PLACES:
    return None
  given |= dict(zip(places, node.args, strict=False))
  module = given.get("mdl")
  if module is None or not _is_module(unit, module):
    return None
  primals = [unit.text(a) for a in node.args[len(places) :]]
  if primals and (site := unit.site_of(module)) is not None:  # as a rule the function gives them to the layer
    unit.learn(site, ast.Call(func=site.node.func, args=node.args[len(places) :], keywords=[]))
  if name == "while_loop":
    return _while_loop(unit, node, given)
  if name == "jvp":
    tangents = given.get("variable_tangents")
    if not isinstance(tangents, ast.Dict) or tangents.keys or set(given) - set(places[:5]):
      return None
    unit.need_import("import jax")
    return f"jax.jvp({bound(unit, given['fn'], module)}, {unit.text(given['primals'])}, {unit.text(given['tangents'])})"
  if set(given) - {"fn", "mdl", "vjp_variables"} or not primals:
    return None
  if name == "vjp":
    of_inputs = isinstance(v := given.get("vjp_variables"), ast.Constant) and v.value is False
    if "vjp_variables" in given and not of_inputs:
      return None
    unit.need_import("import jax" if of_inputs else "from flax import nnx")
    if of_inputs:
      return f"jax.vjp({', '.join([bound(unit, given['fn'], module), *primals])})"
    return f"nnx.vjp({', '.join([unit.text(given['fn']), unit.text(module), *primals, 'graph_updates=False'])})"
  unit.need_import("import jax")
  places_text = f"({', '.join(map(str, range(len(primals))))}{',' if len(primals) == 1 else ''})"
  return f"jax.{name}({bound(unit, given['fn'], module)}, argnums={places_text})({', '.join(primals)})"


def _is_module(unit: Unit, node: ast.expr) -> bool:
  if isinstance(node, ast.Name) and (node.id == unit.self_name or unit.site_of(node) is not None):
    return True
  values = [e.value for e in unit.events(node)]
  return bool(values) and all(isinstance(v, nn.Module) for v in values)


def bound(unit: Unit, function: ast.expr, module: ast.expr) -> str:
  """A function of a module and operands as one of the operands alone."""
  text = unit.text(module)
  if isinstance(function, ast.Lambda) and _is_plain(function.args):
    first, *rest = [a.arg for a in function.args.args]
    saved, before = dict(unit.env), unit.parameters
    for other in rest:
      unit.env.pop(other, None)
    unit.env[first] = Local("modules", module, target=text)
    unit.parameters = (before - {first}) | set(rest)
    try:
      return f"lambda {', '.join(rest)}: {unit.text(function.body)}"
    finally:
      unit.env, unit.parameters = saved, before
  unit.need_import("import functools")
  return f"functools.partial({unit.text(function)}, {text})"


def _is_plain(arguments: ast.arguments) -> bool:
  more = [*arguments.posonlyargs, *arguments.kwonlyargs, *arguments.defaults, arguments.vararg, arguments.kwarg]
  return len(arguments.args) > 1 and not [a for a in more if a is not None]


def _while_loop(unit: Unit, node: ast.Call, given: dict[str, ast.expr]) -> str | None:
  condition, body, module, init = (given.get(n) for n in ("cond_fn", "body_fn", "mdl", "init"))
  if condition is None or body is None or module is None or init is None:
    return None
  indent = unit.source.indent(node)
  carried = given.get("carry_variables")
  reads = carried is None or (isinstance(carried, ast.Constant) and carried.value is False)
  if reads and not draws(unit):
    unit.need_import("import jax")
    pieces = [bound(unit, condition, module), bound(unit, body, module), unit.text(init)]
    return layout_call("jax.lax.while_loop", pieces, indent, 90)
  unit.need_import("from flax import nnx")
  test, step = (f"({unit.text(f)})" if isinstance(f, ast.Lambda) else unit.text(f) for f in (condition, body))
  pieces = [f"lambda carry: {test}(*carry)", f"lambda carry: (carry[0], {step}(*carry))"]
  return f"{layout_call('nnx.while_loop', [*pieces, f'({unit.text(module)}, {unit.text(init)})'], indent, 90)}[1]"
