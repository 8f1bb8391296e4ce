"""Module classes that a function makes: they stay in it, and what makes them again calls the function.

    def greedy(base):
      class Greedy(base):
        ...
      return Greedy

`greedy(Network)(...)` is the class's instance in NNX as in Linen. A function that returns an instance takes its sizes
and `rngs`.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from migrate.codemod.imports_edit import Edit, Positions, apply_edits
from migrate.codemod.methods import method_header
from migrate.codemod.project import ClassInfo, is_local
from migrate.codemod.results import ClassResult
from migrate.codemod.source import Source
from migrate.codemod.unit import Unit

_MISSING = object()


@dataclasses.dataclass(frozen=True)
class Local:
  """A class of a function at the top of a file.

  Attributes:
    function: the function.
    instances: the calls of the class in it that the function returns; empty where it returns the class.
    given: the function's arguments, as far as the class still knows them.
  """

  function: ast.FunctionDef
  instances: tuple[ast.Call, ...]
  given: Mapping[str, Any]


def local_class(info: ClassInfo) -> Local | str:
  """What is known of a class that a function made, or why it can't be made again."""
  name, _, rest = info.cls.__qualname__.partition(".<locals>.")
  function = info.source.parents.get(info.node)
  if not isinstance(function, ast.FunctionDef) or function.name != name or rest != info.node.name:
    return "it is made in a method, in a branch, or in a function inside another"
  returns = [n.value for n in _own(function) if isinstance(n, ast.Return)]
  instances = [v for v in returns if isinstance(v, ast.Call) and _is_name(v.func, rest)]
  if not returns or not (len(instances) == len(returns) or all(_is_name(v, rest) for v in returns)):
    return f"{name} returns something else than {rest} or an instance of it"
  calls = [n for n in ast.walk(function) if isinstance(n, ast.Call) and _is_name(n.func, rest)]
  if len(calls) != len(instances):
    return f"{name} makes further instances of {rest}"
  given = _arguments(info, function)
  return given if isinstance(given, str) else Local(function, tuple(instances), given)


def _arguments(info: ClassInfo, function: ast.FunctionDef) -> dict[str, Any] | str:
  """The arguments of the call that made the class: its methods and bases, and what its fields default to, hold them."""
  arguments = function.args
  if arguments.vararg is not None or arguments.kwarg is not None or arguments.posonlyargs:
    return f"{function.name} takes stars or arguments by position alone"
  known: dict[str, Any] = {}
  for value in vars(info.cls).values():
    method = inspect.unwrap(getattr(value, "__func__", getattr(value, "fget", None) or value), stop=lambda f: False)
    for free, cell in zip(
      getattr(getattr(method, "__code__", None), "co_freevars", ()),
      getattr(method, "__closure__", None) or (),
      strict=False,
    ):
      known.setdefault(free, cell.cell_contents)
  for node, base in zip(info.node.bases, info.cls.__bases__, strict=False):
    if isinstance(node, ast.Name):
      known.setdefault(node.id, base)
  for statement in info.node.body:
    if (
      isinstance(statement, ast.AnnAssign)
      and isinstance(statement.value, ast.Name)
      and isinstance(statement.target, ast.Name)
    ):
      known.setdefault(statement.value.id, info.cls.__dataclass_fields__[statement.target.id].default)
  stored = {n.id for n in _own(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
  plain = [a.arg for a in arguments.args]
  optional = set(plain[len(plain) - len(arguments.defaults) :])
  optional |= {a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None}
  found: dict[str, Any] = {}
  for name in [*plain, *(a.arg for a in arguments.kwonlyargs)]:
    if name in known and name not in stored:
      found[name] = known[name]
    elif name not in optional or any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(function)):
      return f"nothing in {info.node.name} tells what {function.name} was given for `{name}`"
  return found


def around_classes(unit: Unit, node: ast.FunctionDef, results: Sequence[ClassResult]) -> str:
  """The function with its classes rewritten."""
  texts = {r.info.node: r.text for r in results}
  source, names = unit.source, unit.parameters
  text = method_header(unit, node, [])
  unit.parameters = names | {r.info.node.name for r in results}
  for statement in node.body:
    text += "".join(source.lines[source.lead(statement) - 1 : source.first_line(statement) - 1])
    made = texts.get(statement) if isinstance(statement, ast.ClassDef) else None
    text += made if made is not None else unit.own_lines(statement, unit.compose(statement, unit.text))
  return text


def with_instances(source: Source, results: Sequence[ClassResult], text: str) -> str:
  """A rewritten file whose functions hand sizes and `rngs` to the instances that they return."""
  for result in results:
    local = local_class(result.info) if is_local(result.info.cls) else ""
    if isinstance(local, str) or not local.instances:
      continue
    sizes = [s.name for s in result.sizes]
    tree = ast.parse(text)
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == local.function.name)
    data = text.encode()
    at = Positions(data)
    edits = []
    for call in [n.value for n in _own(function) if isinstance(n, ast.Return) and isinstance(n.value, ast.Call)]:
      end = at.end(call) - 1
      edits.append(
        Edit(end, end, (_comma(data[:end]) + ", ".join([*(f"{n}={n}" for n in sizes), "rngs=rngs"])).encode())
      )
    close = _closing(data, at.start(function))
    star = "" if function.args.kwonlyargs else "*, "
    typed = any(a.annotation is not None for a in function.args.args) or not function.args.args
    rows = [*(f"{n}: int" if typed else n for n in sizes), "rngs: nnx.Rngs" if typed else "rngs"]
    edits.append(Edit(close, close, f"{_comma(data[:close])}{star}{', '.join(rows)}".encode()))
    text = apply_edits(data, edits).decode()
  return text


def _comma(before: bytes) -> str:
  """What goes between the arguments so far and the next."""
  before = before.rstrip()
  return "" if before.endswith(b"(") else " " if before.endswith(b",") else ", "


def _closing(data: bytes, start: int) -> int:
  """Where the parenthesis of a function's parameters closes."""
  depth = 0
  for match in re.finditer(rb"[(\[{)\]}]", data[start:]):
    depth += 1 if match[0] in b"([{" else -1
    if depth == 0:
      return start + match.start()
  raise AssertionError("a function without parentheses")


def _is_name(node: ast.AST | None, name: str) -> bool:
  return isinstance(node, ast.Name) and node.id == name


def _own(function: ast.AST) -> list[ast.AST]:
  """Nodes of a function without those of functions and classes inside it."""
  found: list[ast.AST] = []
  for child in ast.iter_child_nodes(function):
    found.append(child)
    if not isinstance(child, ast.FunctionDef | ast.Lambda | ast.ClassDef):
      found += _own(child)
  return found
