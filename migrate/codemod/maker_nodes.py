"""Which functions make a layer and return it, and what kind of definition each is."""

from __future__ import annotations

import ast
import textwrap
from typing import Any

from flax import linen as nn

from migrate.codemod.project import Project
from migrate.codemod.site import follow_name
from migrate.codemod.source import Source, key
from migrate.trace.facts import Activation
from migrate.trace.recorder import origin_of

Definition = ast.FunctionDef | ast.Lambda


def find_definition(source: Source, name: str, line: int) -> Definition | None:
  """The function of that name that begins at a line, decorators included; None where two do."""
  found: list[Definition] = []
  for node in ast.walk(source.tree):
    if isinstance(node, ast.FunctionDef) and node.name == name and source.first_line(node) == line:
      found.append(node)
    if isinstance(node, ast.Lambda) and name == "<lambda>" and node.lineno == line:
      found.append(node)
  return found[0] if len(found) == 1 else None


def is_named_around(source: Source, call: ast.Call, node: Definition) -> bool:
  """Whether a call names a function that a function around the call defines, rather than one that it was given."""
  around = next((n for n in source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
  if around is None or around not in source.enclosing(call) or not isinstance(call.func, ast.Name):
    return False
  store = source.parents.get(node)
  targets = store.targets if isinstance(store, ast.Assign) else []
  names = [node.name] if isinstance(node, ast.FunctionDef) else [t.id for t in targets if isinstance(t, ast.Name)]
  return call.func.id in names


def returned_layers(
  project: Project, source: Source, node: Definition, runs: list[Activation]
) -> dict[int, Any] | None:
  """id(activation) -> the layer it returned, if it returned one every time and called none; else None."""
  body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
  inner = [n for b in body for n in ast.walk(b)]
  if any(isinstance(n, ast.Yield | ast.YieldFrom | ast.Await | ast.ClassDef) for n in inner):
    return None
  helpers = {m for n in inner if isinstance(n, ast.FunctionDef) for m in ast.walk(n)}
  if any((source.path, key(n)) in f.created for f in project.facts for n in helpers if isinstance(n, ast.Call)):
    return None
  own = [n for n in inner if isinstance(n, ast.Return) and n not in helpers]
  values = [node.body] if isinstance(node, ast.Lambda) else [n.value for n in own]
  found: dict[int, Any] = {}
  for value in values:
    for event in project.events(source, value) if value is not None else []:
      origin = origin_of(event.value) if isinstance(event.value, nn.Module) else None
      if origin is None or not is_within(origin.activation, event.activation):
        return None
      found[id(event.activation)] = event.value
  for n in inner:
    if isinstance(n, ast.Call) and any(isinstance(e.value, nn.Module) for e in project.events(source, n.func)):
      return None
  given = [v for run in runs for v in run.arguments.values()]
  if any(hasattr(v, "shape") for v in given) or any(id(r) not in found for r in runs):
    return None
  return found or None


def of_plain_class(project: Project, source: Source, node: Definition) -> bool:
  """Whether a function is a method of a class at the top of a file that is no module, such as a configuration."""
  owner = source.parents.get(node)
  if not isinstance(owner, ast.ClassDef) or source.parents.get(owner) is not source.tree:
    return False
  if {ast.unparse(d) for d in getattr(node, "decorator_list", [])} - {"staticmethod", "classmethod"}:
    return False
  cls = follow_name(f"{project.modules[source.path]}.{owner.name}")
  return isinstance(cls, type) and not issubclass(cls, nn.Module)


def receiver_of(node: Definition) -> str:
  """The name of a method's first parameter, which no call gives."""
  static = any(ast.unparse(d) == "staticmethod" for d in getattr(node, "decorator_list", []))
  ordered = [*node.args.posonlyargs, *node.args.args]
  return ordered[0].arg if ordered and not static else ""


def is_within(activation: Activation | None, outer: Activation) -> bool:
  while activation is not None and activation is not outer:
    activation = activation.parent
  return activation is outer


def loads(body: str, node: Definition) -> set[str]:
  """Names that the new body reads."""
  text = textwrap.dedent(body)
  if not isinstance(node, ast.Lambda):
    text = "def f():\n" + textwrap.indent(text, "  ")
  return {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}


def only_names(source: Source, node: Definition, names: list[str]) -> set[str]:
  """Parameters that occur nowhere but in `name=...` of constructors."""
  inside: set[ast.AST] = set()
  for call in ast.walk(node):
    if isinstance(call, ast.Call):
      for keyword in call.keywords:
        if keyword.arg == "name":
          inside |= set(ast.walk(keyword.value))
  used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n not in inside}
  return {n for n in names if n not in used}


def at_the_top(source: Source, node: ast.AST) -> Any:
  """The statement of the file that a definition is or stands in, as methods of plain classes do."""
  while source.parents[node] is not source.tree:
    node = source.parents[node]
  return node


def bound_by(statement: Any) -> set[str]:
  """The names that a definition or an assignment at the top of a file gives."""
  if isinstance(statement, ast.FunctionDef | ast.ClassDef):
    return {statement.name}
  return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
