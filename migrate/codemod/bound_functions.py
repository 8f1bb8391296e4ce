"""What `setup` keeps in attributes and a call must make itself: functions that read layers or parameters become methods.

Linen runs `setup` for every call. In NNX such a function would hold on to the module that `__init__` made, and would
read its old parameters once `nnx.jit`, `nnx.grad` or `nnx.merge` gives the method another one. Objects that change
themselves become properties for the same reason.
"""

from __future__ import annotations

import ast
import dataclasses
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from migrate.codemod.changing_objects import all_change_themselves
from migrate.codemod.methods import method_header
from migrate.codemod.project import holds_modules

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


@dataclasses.dataclass
class BoundFunction:
  """One of them.

  Attributes:
    name: the attribute.
    node: the function, or what makes the object.
    statements: those of `setup` that nothing is left of.
  """

  name: str
  node: ast.Lambda | ast.FunctionDef | ast.Call
  statements: list[ast.stmt]


def find_bound(unit: Unit, setup: ast.FunctionDef) -> list[BoundFunction]:
  """The functions of a `setup` that have to be methods, and can be."""
  own = setup.args.args[0].arg
  stored = [n for n in ast.walk(setup) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
  local = {n.id for n in stored} | {n.name for n in ast.walk(setup) if isinstance(n, ast.FunctionDef)} - {setup.name}
  set_here = Counter(n.attr for n in ast.walk(setup) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store))
  functions = {s.name: s for s in setup.body if isinstance(s, ast.FunctionDef)}
  found = []
  for statement in setup.body:
    assignment = _where_it_is_missing(statement, own)
    target = assignment.targets[0] if assignment is not None and len(assignment.targets) == 1 else None
    if assignment is None or not isinstance(target, ast.Attribute) or not _is_name(target.value, own):
      continue
    function, gone = assignment.value, [statement]
    if isinstance(function, ast.Name) and function.id in functions and _reads(setup, function.id) == 1:
      function = functions[function.id]
      gone.append(function)
    if set_here[target.attr] != 1 or target.attr in unit.field_names:
      continue
    if isinstance(function, ast.Call) and all_change_themselves([e.value for e in unit.events(function)]):
      if not {n.id for n in ast.walk(function) if isinstance(n, ast.Name)} & local:
        found.append(BoundFunction(target.attr, function, gone))
      continue
    if not isinstance(function, ast.Lambda | ast.FunctionDef):
      continue
    free = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)} - _parameters(function) - _stored(function)
    if not free & (local - _names_of(function)) and _reads_state(unit, function, own):
      found.append(BoundFunction(target.attr, function, gone))
  return found


def bound_methods(unit: Unit, setup: ast.FunctionDef, found: list[BoundFunction], indent: str) -> str:
  """Their text as methods, with the indentation of one."""
  text = ""
  for item in found:
    node = item.node
    unit.self_name, unit.env, unit._dims = setup.args.args[0].arg, {}, {}
    unit.parameters = _parameters(node)
    unit.assigned = Counter(_stored(node))
    unit.local_names = unit.parameters | set(unit.assigned)
    comments = "".join(f"{indent}{c}\n" for c in unit.source.comments_above(item.statements[-1]))
    if isinstance(node, ast.Call):
      text += f"\n{comments}{indent}@property\n{indent}def {item.name}({unit.self_name}):\n"
      text += f"{indent}{unit.step}# Anew for every call: it keeps what the last one left.\n"
      text += f"{indent}{unit.step}return {unit.text(node)}\n"
      unit.readable.add(item.name)
      continue
    given = ", ".join(filter(None, [unit.self_name, ast.unparse(node.args)]))
    if isinstance(node, ast.Lambda):
      value = unit.text(node.body)
      value = f"({value})" if "\n" in value else value
      text += f"\n{comments}{indent}def {item.name}({given}):\n{indent}{unit.step}return {value}\n"
    else:
      header = method_header(unit, node, []).replace(
        f"def {node.name}(", f"def {item.name}({unit.self_name}{', ' if ast.unparse(node.args) else ''}", 1
      )
      lines = textwrap.dedent(header + unit.body(node.body))
      text += "\n" + comments + textwrap.indent(lines, indent)
    unit.readable.add(item.name)
  return text


def _where_it_is_missing(statement: ast.stmt, own: str) -> ast.Assign | None:
  """`self.name = ...`, which may stand under `if not hasattr(self, "name")`: subclasses override the method."""
  if isinstance(statement, ast.If) and len(statement.body) == 1 and not statement.orelse:
    inner = _where_it_is_missing(statement.body[0], own)
    target = inner.targets[0] if inner is not None else None
    asked = f"not hasattr({own}, {target.attr!r})" if isinstance(target, ast.Attribute) else ""
    return inner if ast.unparse(statement.test) == asked else None
  return statement if isinstance(statement, ast.Assign) else None


def _reads_state(unit: Unit, function: ast.AST, own: str) -> bool:
  """Whether a function reads anything of the module but fields that are settings."""
  for node in ast.walk(function):
    if isinstance(node, ast.Attribute) and _is_name(node.value, own):
      values = [e.value for e in unit.events(node)]
      if node.attr not in unit.field_names or any(map(holds_modules, values)):
        return True
  return False


def _is_name(node: ast.AST, name: str) -> bool:
  return isinstance(node, ast.Name) and node.id == name


def _reads(setup: ast.FunctionDef, name: str) -> int:
  return sum(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load) for n in ast.walk(setup))


def _parameters(function: ast.Lambda | ast.FunctionDef | ast.Call) -> set[str]:
  if isinstance(function, ast.Call):
    return set()
  return {a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)}


def _stored(function: ast.AST) -> set[str]:
  return {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _names_of(function: ast.AST) -> set[str]:
  """Names that the function gives to itself and to functions in it."""
  return {n.name for n in ast.walk(function) if isinstance(n, ast.FunctionDef)}
