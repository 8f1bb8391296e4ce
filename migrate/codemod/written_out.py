"""Functions inside a method that are one layer and its call: the call is written where they are called.

`def dense(name, x): return nn.Dense(8, name=name)(x)` and `dense("query", x)` become `self.query(x)`.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.beta import applied
from migrate.codemod.remarks import comments_in
from migrate.codemod.source import defaults_of

if TYPE_CHECKING:
  from migrate.codemod.closures import Helper
  from migrate.codemod.unit import Unit

Function = ast.FunctionDef | ast.Lambda
_ROUNDS = (
  ast.For | ast.While | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | Function | ast.AsyncFunctionDef
)


def written_out(unit: Unit, name: str, node: Function) -> bool:
  """Whether a function is one layer that it calls, and every call of it stands in the method itself, outside of loops."""
  body = _expression(node)
  if comments_in(unit.source, node) or body is None or not unit.creates(body.func):
    return False
  method = next((n for n in unit.source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
  if method is None or unit.guards or unit.loops or unit.iterator or unit.function_depth:
    return False
  given = node.args
  if given.vararg or given.kwarg or (isinstance(node, ast.FunctionDef) and node.decorator_list):
    return False
  names = [n for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == name]
  definitions = [n for n in ast.walk(method) if isinstance(n, ast.FunctionDef) and n.name == name]
  if len(definitions) + sum(not isinstance(n.ctx, ast.Load) for n in names) != 1:
    return False  # the name is something else, too
  if not _only_once(body, {a.arg for a in [*given.posonlyargs, *given.args, *given.kwonlyargs]}):
    return False
  return all(_plain_call(unit, n, method) for n in names if isinstance(n.ctx, ast.Load))


def write_out(unit: Unit, node: ast.Call, helper: Helper) -> str:
  """A call of such a function. Its layer has an attribute of its own, which the call's `name` names where it has one."""
  definition = helper.node
  given, names = definition.args, [a.arg for a in [*definition.args.posonlyargs, *definition.args.args]]
  arguments = {n: unit.argument_text(a) for n, a in zip(names, node.args, strict=False)}
  arguments |= {k.arg: unit.text(k.value) for k in node.keywords if k.arg}
  defaults = defaults_of(given)
  every = [*names, *[a.arg for a in given.kwonlyargs]]
  construction = _construction(_expression(definition))
  unit.returned = None
  unit.layer_hint = _given_name(construction, arguments, defaults) or helper.qualname.strip("_")
  try:
    unit._inline(node, helper, "")
  finally:
    unit.layer_hint = ""
  if unit.returned is not None:
    unit._dims[node] = unit.returned
  text = helper.text.strip().removeprefix("return ")
  texts = [arguments.get(n) or unit.source.code(defaults[n]) for n in every]
  return applied(f"lambda {', '.join(every)}: {text}", texts)


def _given_name(construction: ast.Call | None, arguments: dict[str, str], defaults: dict[str, ast.expr]) -> str:
  """The layer's name, where the call gives it as a constant."""
  named = next((k.value for k in construction.keywords if k.arg == "name"), None) if construction is not None else None
  if not isinstance(named, ast.Name):
    return ""
  text = arguments.get(named.id) or (ast.unparse(defaults[named.id]) if named.id in defaults else "")
  name = text[1:-1] if text[:1] in "'\"" and text[:1] == text[-1:] else ""
  return name if name.isidentifier() else ""


def _expression(node: Function) -> ast.Call | None:
  """The call of a layer that is all that a function does."""
  body = node.body if isinstance(node, ast.Lambda) else None
  if isinstance(node, ast.FunctionDef) and len(node.body) == 1 and isinstance(node.body[0], ast.Return):
    body = node.body[0].value
  return body if isinstance(body, ast.Call) and isinstance(body.func, ast.Call) else None


def _construction(node: ast.Call | None) -> ast.Call | None:
  return node.func if node is not None and isinstance(node.func, ast.Call) else None


def _only_once(body: ast.Call, parameters: set[str]) -> bool:
  """Whether the layer's call reads every argument at most once, and makes no layer itself."""
  read = [n for a in [*body.args, *body.keywords] for n in ast.walk(a)]
  uses = [n.id for n in read if isinstance(n, ast.Name) and n.id in parameters]
  scopes = ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.NamedExpr | ast.Call
  return len(uses) == len(set(uses)) and not any(isinstance(n, scopes) for n in read)


def _plain_call(unit: Unit, load: ast.Name, method: ast.FunctionDef) -> bool:
  call = unit.source.parents.get(load)
  if not isinstance(call, ast.Call) or call.func is not load:
    return False
  if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
    return False
  for outer in unit.source.enclosing(call):
    if outer is method:
      return True
    if isinstance(outer, _ROUNDS):
      return False
  return False
