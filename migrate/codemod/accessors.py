"""Objects that hold a module and speak for it: `self.interms["weights"] = w` sows, where `interms` is a property.

What they do for the module is written where they are used.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

from flax import linen as nn

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def accessor_store(unit: Unit, target: ast.expr, value: ast.expr) -> str | None:
  """`self.interms["weights"] = w`, where `__setitem__` of what `self.interms` is sows: the text of `self.sow(...)`."""
  if not isinstance(target, ast.Subscript) or isinstance(target.slice, ast.Slice):
    return None
  return _forwarded(unit, target.value, "__setitem__", [target.slice, value])


def accessor_call(unit: Unit, node: ast.Call) -> str | None:
  """As `accessor_store`, for a method: `self.interms.add("weights", w)`."""
  if not isinstance(node.func, ast.Attribute) or any(isinstance(a, ast.Starred) for a in node.args) or node.keywords:
    return None
  return _forwarded(unit, node.func.value, node.func.attr, node.args)


def unread_accessor(unit: Unit, statement: ast.stmt, texts: str) -> bool:
  """Whether a statement of the class makes an accessor that its methods no longer use."""
  if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
    return False
  name = statement.targets[0]
  return isinstance(name, ast.Name) and name.id in unit.accessors and f".{name.id}" not in texts


def _forwarded(unit: Unit, owner: ast.expr, method: str, given: list[ast.expr]) -> str | None:
  if not isinstance(owner, ast.Attribute) or not isinstance(owner.value, ast.Name) or owner.value.id != unit.self_name:
    return None
  events = unit.events(owner)
  kinds = {type(e.value) for e in events}
  if len(kinds) != 1 or isinstance(events[0].value, nn.Module):
    return None
  definition = _definition(inspect.getattr_static(kinds.pop(), method, None))
  call = _only_call(definition)
  if definition is None or call is None:
    return None
  (holder, *names), path = [a.arg for a in definition.args.args], call.func
  if not (
    isinstance(path, ast.Attribute)
    and isinstance(path.value, ast.Attribute)
    and isinstance(path.value.value, ast.Name)
    and path.value.value.id == holder
  ):
    return None
  if any(getattr(e.value, path.value.attr, None) is not e.activation.module for e in events):
    return None
  if path.attr != "sow" or len(call.args) != 3 or call.keywords or len(names) != len(given):
    return None
  bound = dict(zip(names, given, strict=True))
  collection, *rest = call.args
  if not isinstance(collection, ast.Constant) or not isinstance(collection.value, str):
    return None
  texts = [_argument(unit, a, bound) for a in rest]
  if any(t is None for t in texts):
    return None
  unit.accessors.add(owner.attr)
  return f"{unit.self_name}.sow({', '.join([unit.variable_type(collection.value), *map(str, texts)])})"


def _argument(unit: Unit, node: ast.expr, bound: dict[str, ast.expr]) -> str | None:
  if isinstance(node, ast.Constant):
    return repr(node.value)
  return unit.text(bound[node.id]) if isinstance(node, ast.Name) and node.id in bound else None


def _definition(function: Any) -> ast.FunctionDef | None:
  if not inspect.isfunction(function):
    return None
  try:
    found = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
  except (OSError, SyntaxError):
    return None
  if not isinstance(found, ast.FunctionDef) or found.decorator_list or not found.args.args:
    return None
  given = found.args
  return None if given.vararg or given.kwarg or given.kwonlyargs or given.defaults else found


def _only_call(definition: ast.FunctionDef | None) -> ast.Call | None:
  """The call that is all that a function does."""
  if definition is None:
    return None
  body = [s for s in definition.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
  only = body[0] if len(body) == 1 else None
  value = only.value if isinstance(only, ast.Expr | ast.Return) else None
  return value if isinstance(value, ast.Call) else None
