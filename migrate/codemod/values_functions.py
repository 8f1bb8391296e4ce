"""Functions that have no importable name: the factory call that made them, or their own source."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import inspect
import linecache
import sys
import textwrap
import types
from typing import Any

from migrate.codemod.imports_uses import read_names
from migrate.codemod.values_same import same

_MISSING = object()
_READABLE = (
  *("lecun_normal", "lecun_uniform", "he_normal", "he_uniform", "xavier_uniform", "xavier_normal"),
  *("normal", "uniform", "truncated_normal", "orthogonal", "delta_orthogonal"),
)


@dataclasses.dataclass(frozen=True)
class FactoryCall:
  """`factory(*args, **kwargs)` gives an equal function."""

  factory: Any
  args: tuple[Any, ...]
  kwargs: dict[str, Any]


def factory_call(function: types.FunctionType) -> FactoryCall | None:
  """Recovers the call that made a closure such as `normal(0.02)`: arguments from its cells, tested by calling."""
  module = sys.modules.get(function.__globals__.get("__name__", ""))
  path = function.__qualname__.split(".<locals>.")
  if len(path) != 2 or module is None:
    return None
  factory: Any = module
  for part in path[0].split("."):
    factory = getattr(factory, part, None)
  if not isinstance(factory, types.FunctionType) or not _returns(factory, function.__name__):
    return None
  if module.__name__ == "jax._src.nn.initializers":
    for name in _READABLE:
      maker = getattr(module, name)
      if same(_call(maker, {}), function):
        return FactoryCall(maker, (), {})
  kwargs = _arguments(factory, function)
  if kwargs is None or not same(_call(factory, kwargs), function):
    return None
  for name in reversed(tuple(kwargs)):
    fewer = {k: v for k, v in kwargs.items() if k != name}
    if same(_call(factory, fewer), function):
      kwargs = fewer
  required = []
  for parameter in inspect.signature(factory).parameters.values():
    if parameter.default is not parameter.empty or parameter.kind is parameter.KEYWORD_ONLY:
      break
    required.append(parameter.name)
  rest = {k: v for k, v in kwargs.items() if k not in required}
  return FactoryCall(factory, tuple(kwargs[n] for n in required), rest)


def _returns(factory: types.FunctionType, name: str) -> bool:
  """Whether the factory's own source returns the inner function: nothing else may be called to find out."""
  try:
    tree = ast.parse(textwrap.dedent(inspect.getsource(factory)))
  except (OSError, TypeError, SyntaxError):
    return False
  found = [n.value for n in ast.walk(tree) if isinstance(n, ast.Return)]
  if name == "<lambda>":
    return any(isinstance(n, ast.Lambda) for n in found)
  return any(isinstance(n, ast.Name) and n.id == name for n in found)


def _call(factory: Any, kwargs: dict[str, Any]) -> Any:
  try:
    return factory(**kwargs)
  except Exception:
    return _MISSING


def _arguments(factory: types.FunctionType, function: types.FunctionType) -> dict[str, Any] | None:
  """Values for the factory's parameters: from cells, or from the closure's own defaults of the same name."""
  known = dict(_cells(function))
  for name, parameter in inspect.signature(function).parameters.items():
    if parameter.default is not parameter.empty:
      known.setdefault(name, parameter.default)
  found: dict[str, Any] = {}
  for parameter in inspect.signature(factory).parameters.values():
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
      continue
    if parameter.name in known:
      found[parameter.name] = known[parameter.name]
    elif parameter.default is parameter.empty:
      return None
  return found


def _cells(function: types.FunctionType) -> list[tuple[str, Any]]:
  found = []
  for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
    try:
      found.append((name, cell.cell_contents))
    except ValueError:
      continue
  return found


@dataclasses.dataclass(frozen=True)
class FunctionText:
  """The source of a function, and the values of the names that it takes from outside."""

  text: str
  is_lambda: bool
  name: str
  free: dict[str, Any]


def function_text(function: types.FunctionType) -> FunctionText | str:
  """The source of a lambda or of a function defined in another; a text that says why where there is none."""
  try:
    file = inspect.getsourcefile(function)
  except TypeError:
    file = None
  source = "".join(linecache.getlines(file, function.__globals__)) if file else ""
  if not source:
    return "its source is not there"
  try:
    node = _find(ast.parse(source), function)
  except SyntaxError:
    return "its file does not parse"
  if node is None:
    return "its source does not match the running code"
  if isinstance(node, ast.AsyncFunctionDef) or getattr(node, "decorator_list", None):
    return "it is decorated"
  said = docstring(node)
  strings = [n for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
  if any(n.lineno != n.end_lineno and n is not said for n in strings):
    return "it holds a string over several lines"
  free = _free_values(node, function)
  if isinstance(free, str):
    return free
  segment = ast.get_source_segment(source, node, padded=True) or ""
  statements = node.body if isinstance(node, ast.FunctionDef) else []
  if (
    said is not None and said.lineno != said.end_lineno and len(statements) > 1
  ):  # its lines would not stand as they did
    lines = segment.split("\n")
    del lines[said.lineno - node.lineno : (said.end_lineno or said.lineno) + 1 - node.lineno]
    segment = "\n".join(lines)
  if isinstance(node, ast.Lambda):
    return FunctionText(" ".join((ast.get_source_segment(source, node) or "").split()), True, "lambda", free)
  return FunctionText(textwrap.dedent(segment).rstrip(), False, node.name, free)


def docstring(node: ast.AST) -> ast.Constant | None:
  """The docstring of a function, if it has lines of its own."""
  first = node.body[0] if isinstance(node, ast.FunctionDef) else None
  found = first.value if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) else None
  return found if found is not None and isinstance(found.value, str) and found.lineno > node.lineno else None  # pyright: ignore


def _find(tree: ast.Module, function: types.FunctionType) -> ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef | None:
  """The node that was compiled to this function: the smallest one around all positions of its code."""
  code = function.__code__
  # the instruction that opens a function has no columns of its own
  spots = [(p[0], p[2]) for p in code.co_positions() if p[0] is not None and p[2] is not None and p[3]]
  best = None
  for node in ast.walk(tree):
    if isinstance(node, ast.Lambda) == (function.__name__ == "<lambda>") and isinstance(
      node, (ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef)
    ):
      first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
      if first != code.co_firstlineno or getattr(node, "name", "<lambda>") != code.co_name:
        continue
      start, end = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
      if all(start <= (line or 0, column or 0) <= end for line, column in spots):
        best = node if best is None or start > (best.lineno, best.col_offset) else best
  return best


def _free_values(node: ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef, function: types.FunctionType) -> Any:
  cells = dict(_cells(function))
  missing: list[str] = []
  found: dict[str, Any] = {}
  for name in sorted(read_names([node])):
    if name in cells:
      found[name] = cells[name]
    elif name in function.__globals__:
      found[name] = function.__globals__[name]
    elif not hasattr(builtins, name):
      missing.append(name)
  if "__class__" in cells:
    return "it uses super()"
  # `lambda x, i=i: ...`: the default's name is gone, its value is not
  args = node.args
  defaults = list(zip(args.defaults, function.__defaults__ or (), strict=False))
  keyword = function.__kwdefaults__ or {}
  defaults += [(d, keyword.get(a.arg)) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d is not None]
  for default, value in defaults:
    if isinstance(default, ast.Name) and default.id in missing:
      found[default.id] = value
      missing.remove(default.id)
  return f"it uses {', '.join(missing)}, which is not there any more" if missing else found
