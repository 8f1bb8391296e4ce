"""What `setup` computes from parameters: Linen does so at every call, so it can't stay in `__init__`.

One array becomes a property of its name; several are returned by a method, which those that read them call first.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from migrate.codemod.project import has_array, holds_modules
from migrate.codemod.scope import Local

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

COMPUTED = "<computed>"  # the name of its text among those of methods
_MEASURES = ("shape", "ndim", "dtype", "size")
_METHOD = "_from_parameters"
_SERVICES = ("param", "variable")


@dataclasses.dataclass
class Computed:
  """The statements of one `setup` that compute with parameters.

  Attributes:
    node: `setup`.
    statements: simple ones that a call runs, in order.
    gone: those that `__init__` does without.
    attributes: what they set and other methods read, in order.
    sources: attributes that are parameters.
    parameter_locals: locals that are parameters.
    unread: locals of `__init__` that only these statements read.
  """

  node: ast.FunctionDef
  statements: list[ast.stmt]
  gone: set[ast.stmt]
  attributes: list[str]
  sources: set[str]
  parameter_locals: set[str]
  unread: set[str]

  def in_call(self, statement: ast.stmt) -> bool:
    """Whether a statement, or one inside it, runs in a call."""
    return any(s in self.statements for s in _simple([statement]))

  def leaves(self, statement: ast.stmt) -> bool:
    """Whether `__init__` has nothing of a statement."""
    inner = list(_simple([statement]))
    rest = [s for s in inner if s not in self.gone]
    return len(rest) < len(inner) and all(isinstance(s, ast.Raise | ast.Pass) for s in rest)


def find_computed(unit: Unit, node: ast.FunctionDef) -> Computed | None:
  """What of a `setup` calls compute; None where it is nothing, or nothing that can be told apart."""
  own = unit.self_name = node.args.args[0].arg
  sources: set[str] = set()
  locals_: set[str] = set()
  made: set[str] = set()  # attributes and locals that are computed
  computed: list[ast.stmt] = []
  for statement in _simple(node.body):
    value = getattr(statement, "value", None)
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign) or value is None:
      continue
    stored = _stored(statement, own)
    if any(isinstance(n, ast.Call) and _service(unit, n) for n in ast.walk(value)):
      names = {s for s in stored if not s.startswith(f"{own}.")}
      sources |= {s.partition(".")[2] for s in stored - names}
      locals_ |= names
      continue
    reads = _read(value, own) | (stored if isinstance(statement, ast.AugAssign) else set())
    known = {f"{own}.{s}" for s in sources} | locals_ | made
    if not reads & known:
      continue
    values = [e.value for e in unit.events(value)]
    makes = any(isinstance(n, ast.Call) and unit.creates(n) for n in ast.walk(value))
    if makes or not all(has_array(v) and not holds_modules(v) for v in values):
      if any(s in made for s in reads):
        return None
      continue
    if isinstance(value, ast.Name | ast.Attribute | ast.Tuple | ast.List | ast.Dict | ast.Lambda) and not reads & made:
      continue
    computed.append(statement)
    made |= stored
  elsewhere = [m for n, m in unit.info.methods.items() if n != node.name]
  read = {
    n.attr for m in elsewhere for n in ast.walk(m) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)
  }
  attributes = [a for a in dict.fromkeys(s.partition(".")[2] for s in _in_order(computed, own)) if a in read]
  if not attributes or not all(_reached(node.body, s) for s in computed):
    return None
  given = [s for s in _simple(node.body) if s not in computed]
  if any(_stored(s, own) & {m for m in made if m.startswith(f"{own}.")} for s in given):
    return None  # in another branch it is something else
  needed, gone = _with_locals(node, computed, own)
  after = [s for s in _simple(node.body) if s not in gone]
  loads = {n.id for s in after for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
  tests = {n.id for s in ast.walk(node) if isinstance(s, ast.If) for n in ast.walk(s.test) if isinstance(n, ast.Name)}
  return Computed(node, needed, gone, attributes, sources, locals_, locals_ - loads - tests)


def _with_locals(node: ast.FunctionDef, computed: list[ast.stmt], own: str) -> tuple[list[ast.stmt], set[ast.stmt]]:
  """(what the call runs, what `__init__` does without): locals that the statements read are made there as well."""
  simple = [s for s in _simple(node.body) if isinstance(s, ast.Assign | ast.AnnAssign | ast.AugAssign)]
  needed = set(computed)
  while True:
    names = {n.id for s in needed for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    for outer in ast.walk(node):
      if isinstance(outer, ast.If) and any(s in needed for s in _simple([outer])):
        names |= {n.id for n in ast.walk(outer.test) if isinstance(n, ast.Name)}
    more = {s for s in simple if s not in needed and _stored(s, own) & names}
    if not more:
      break
    needed |= more
  gone = set(computed)
  while True:
    loads = {
      n.id
      for s in _simple(node.body)
      if s not in gone
      for n in ast.walk(s)
      if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }
    for outer in ast.walk(node):
      if isinstance(outer, ast.If) and any(s not in gone for s in _simple([outer])):
        loads |= {n.id for n in ast.walk(outer.test) if isinstance(n, ast.Name)}
    plain = {
      s for s in needed - gone if not any(isinstance(n, ast.Call) and _named(n) in _SERVICES for n in ast.walk(s))
    }
    more = {s for s in plain if all("." not in n and n not in loads for n in _stored(s, own))}
    if not more:
      return [s for s in _simple(node.body) if s in needed], gone
    gone |= more


def computed_method(unit: Unit) -> str:
  """The text of the property or method, indented as the methods of the class; empty where there is none."""
  found = unit.computed
  if found is None:
    return ""
  locals_ = {n.id for n in ast.walk(found.node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
  unit.env, unit.parameters = {n: Local("dynamic") for n in locals_}, set()
  body = _body(unit, found, found.node.body)
  indent, inner = unit.source.indent(found.node), unit.source.indent(found.node.body[0])
  one = found.attributes[0] if len(found.attributes) == 1 else None
  last = body.rstrip("\n").rpartition("\n")[2]
  if one is not None and last.startswith(f"{inner}{one} = ") and body.count("\n" + inner + one + " = ") <= 1:
    body = body.replace(last, f"{inner}return {last.removeprefix(f'{inner}{one} = ')}")
  else:
    body += f"{inner}return {', '.join(found.attributes)}\n"
  if one is not None:
    return f"{indent}@property\n{indent}def {one}({unit.self_name}):\n{body}"
  return f'{indent}def {_METHOD}({unit.self_name}):\n{inner}"""What every call computes from the parameters."""\n{body}'


def computed_read(unit: Unit, node: ast.Attribute) -> str | None:
  """How a method reads an array that `setup` computed; None for any other attribute of the module."""
  found = unit.computed
  if found is None or node.attr not in found.attributes or not isinstance(node.ctx, ast.Load):
    return None
  unit.computed_used.add(node.attr)
  return f"{unit.self_name}.{node.attr}" if len(found.attributes) == 1 else _local(unit, node.attr)


def _local(unit: Unit, attr: str) -> str:
  return f"{attr}_" if attr in unit.local_names else attr


def computed_prefix(unit: Unit, node: ast.FunctionDef) -> str:
  """The line of a method that asks for them, where it reads several."""
  found, used = unit.computed, unit.computed_used
  if found is None or len(found.attributes) == 1 or not used:
    return ""
  names = [_local(unit, a) if a in used else "_" for a in found.attributes]
  return f"{unit.source.indent(node.body[0])}{', '.join(names)} = {unit.self_name}.{_METHOD}()\n"


def _body(unit: Unit, found: Computed, statements: Sequence[ast.stmt]) -> str:
  source, out = unit.source, ""
  for statement in statements:
    if not found.in_call(statement) and not (isinstance(statement, ast.Raise) and statements[0] is statement):
      continue
    lead = "".join(source.lines[source.lead(statement) - 1 : source.first_line(statement) - 1])
    if isinstance(statement, ast.If):
      out += (lead if out else lead.lstrip("\n")) + _condition(unit, found, statement, "if")
      continue
    text = unit.own_lines(statement, _statement(unit, found, statement))
    out += (lead if out else lead.lstrip("\n")) + text
  return out


def _condition(unit: Unit, found: Computed, node: ast.If, word: str) -> str:
  indent = unit.source.indent(node)
  text = f"{indent}{word} {_write(unit, found, node.test)}:\n"
  text += _body(unit, found, node.body) or f"{unit.source.indent(node.body[0])}pass\n"
  if not node.orelse:
    return text
  first = node.orelse[0]
  if isinstance(first, ast.If) and unit.source.code(first).startswith("elif"):
    return text + (_condition(unit, found, first, "elif") if found.in_call(first) else "")
  rest = _body(unit, found, node.orelse)
  return text + (f"{indent}else:\n{rest}" if rest else "")


def _statement(unit: Unit, found: Computed, node: ast.stmt) -> str:
  value = getattr(node, "value", None)
  if isinstance(value, ast.Call) and _service(unit, value) and value in unit.parameter_attrs:
    targets = [s for s in _stored(node, unit.self_name or "self") if "." not in s]
    return f"{targets[0]} = {unit.self_name}.{unit.parameter_attrs[value]}[...]"
  return _write(unit, found, node)


def _write(unit: Unit, found: Computed, node: ast.AST) -> str:
  if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == unit.self_name:
    if any(f"{unit.self_name}.{node.attr}" in _stored(s, unit.self_name) for s in found.statements):
      return node.attr
    if node.attr in found.sources and node.attr not in unit.derived and isinstance(node.ctx, ast.Load):
      return f"{unit.self_name}.{node.attr}[...]"
    return unit.text(node)
  if isinstance(node, ast.Name):
    return node.id if isinstance(node.ctx, ast.Store) or node.id in unit.env else unit.text(node)
  if isinstance(node, ast.Attribute | ast.Constant):
    root: ast.AST = node
    while isinstance(root, ast.Attribute):
      root = root.value
    if isinstance(root, ast.Name | ast.Constant) and not (isinstance(root, ast.Name) and root.id == unit.self_name):
      return unit.text(node)
  return unit.compose(node, lambda n: _write(unit, found, n))


def _simple(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
  """Statements without those of other functions, conditions opened; loops and the like count as one."""
  for statement in statements:
    if isinstance(statement, ast.If):
      yield from _simple([*statement.body, *statement.orelse])
    else:
      yield statement


def _reached(statements: Sequence[ast.stmt], wanted: ast.stmt) -> bool:
  return any(s is wanted for s in _simple(statements))


def _stored(statement: ast.stmt, own: str) -> set[str]:
  """`x`, `self.y` that a statement sets."""
  targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
  found: set[str] = set()
  for target in targets:
    for node in ast.walk(target) if target is not None else ():
      if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        found.add(node.id)
      if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == own:
        found.add(f"{own}.{node.attr}")
  return found


def _in_order(statements: Sequence[ast.stmt], own: str) -> list[str]:
  found: list[str] = []
  for statement in statements:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    for target in targets:
      found += (
        [f"{own}.{n.attr}" for n in ast.walk(target) if isinstance(n, ast.Attribute)] if target is not None else []
      )
  return found


def _read(node: ast.AST, own: str) -> set[str]:
  """`x`, `self.y` whose values an expression reads; `x.shape` reads none."""
  if isinstance(node, ast.Attribute):
    if node.attr in _MEASURES:
      return set()
    if isinstance(node.value, ast.Name) and node.value.id == own:
      return {f"{own}.{node.attr}"}
  if isinstance(node, ast.Name):
    return {node.id}
  return {name for child in ast.iter_child_nodes(node) for name in _read(child, own)}


def _named(node: ast.Call) -> str:
  return node.func.attr if isinstance(node.func, ast.Attribute) else ""


def _service(unit: Unit, node: ast.Call) -> bool:
  return _named(node) in _SERVICES and unit.source.code(node.func).partition(".")[0] == unit.self_name
