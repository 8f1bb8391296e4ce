"""Functions inside a method that make layers where they are called: `norm = lambda x: nn.LayerNorm()(x)`."""

from __future__ import annotations

import ast
import dataclasses
import re
from typing import TYPE_CHECKING, Any

from migrate.codemod.imports import Names
from migrate.codemod.scope import Local
from migrate.codemod.site import Site
from migrate.codemod.source import Source
from migrate.codemod.written_out import written_out

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


@dataclasses.dataclass(eq=False)
class Helper:
  """A function that makes layers.

  Attributes:
    kind: `closure`, `method` or `function`.
    node: its definition.
    source: its file.
    qualname: as the trace knows it.
    layers: the attribute with its layers; empty where it keeps plain attributes.
    text: its new body, once it has been read.
    takes_layers: whether its callers hand it the iterator.
    names: module-level names of its file.
    imports: import statements that its text needs.
    templates: template files that its text needs.
    guards: the conditions under which a closure is defined, as `__init__` evaluates them.
    others: closures of the same name under other conditions.
    returned: the layers that it returns uncalled, as its last call made them.
    written_out: whether its calls are replaced by its body.
    left: parameters for what partials given to it leave to the layers' calls: (parameter, field) -> name; None before the first call.
  """

  kind: str
  node: Any
  source: Source
  qualname: str
  layers: str = ""
  text: str = ""
  busy: bool = False
  takes_layers: bool = False
  names: Names | None = None
  imports: set[str] = dataclasses.field(default_factory=set)
  templates: set[str] = dataclasses.field(default_factory=set)
  guards: tuple[str, ...] = ()
  others: list[Helper] = dataclasses.field(default_factory=list)
  returned: list[Site] = dataclasses.field(default_factory=list)
  written_out: bool = False
  left: dict[tuple[str, str], str] | None = None


def lambda_closure(unit: Unit, statement: ast.stmt, name: str, value: ast.Lambda) -> str | None:
  """The assignment of such a lambda; None where it makes no layers. Its new body is known once it has been called."""
  if unit.loops or unit.in_setup or unit.function_depth or not _makes(unit, value) or handed_on(unit, name, value):
    forget_closure(unit, name, value)
    return None
  note_closure(unit, name, Helper("closure", value, unit.source, name, written_out=written_out(unit, name, value)))
  start, at = unit.source.span(statement)[0], unit.source.span(value)[0]
  head = unit.source.between(at, unit.source.span(value.body)[0])
  return unit.own_lines(statement, unit.source.between(start, at) + head + _mark(value))


def note_closure(unit: Unit, name: str, helper: Helper) -> None:
  """Remembers a layer-making function of this method, with the conditions under which it is defined."""
  helper.guards = tuple(unit.guards)
  before = unit.helpers.get(name)
  if before is not None and before.kind == "closure" and _method(unit, before.node) is _method(unit, helper.node):
    helper.others = [*before.others, before] if helper.guards and before.guards else []
  unit.helpers[name] = helper
  unit.env[name] = Local("closure", helper.node, target=helper)


def forget_closure(unit: Unit, name: str, value: ast.AST) -> None:
  """A name that another method gave to such a function is free again."""
  before = unit.helpers.get(name)
  if before is not None and before.kind == "closure" and _method(unit, before.node) is not _method(unit, value):
    del unit.helpers[name]


def thing_given(qualname: str) -> str:
  """What a function gives, as an attribute is called after it: `update` of `get_update`."""
  name = qualname.rpartition(".")[2].strip("_")
  return re.sub(r"^(get|make|create|build)_(?=\w)", "", name)


def place_closures(unit: Unit, body: str) -> str:
  """The method with the bodies of these functions, which take their layers from an iterator."""
  for helper in [h for found in unit.helpers.values() for h in [*found.others, found]]:
    if helper.kind != "closure":
      continue
    if helper.written_out and isinstance(helper.node, ast.Lambda):
      body = "".join(line for line in body.splitlines(keepends=True) if _mark(helper.node) not in line)
      continue
    if isinstance(helper.node, ast.Lambda):
      body = body.replace(_mark(helper.node), helper.text or unit.source.code(helper.node.body))
      continue
    mark = f"CLOSURE__{helper.node.name}_{helper.node.lineno}__\n"
    if helper.written_out:
      body = body.replace(mark, "")
    if mark not in body:
      continue
    first, source = helper.node.body[0], helper.source
    start = source.offset(helper.node.lineno, 0)
    stop = source.span(first)[0] if source.shares_line(first) else source.offset(source.lead(first), 0)
    header = "".join(f"{source.indent(helper.node)}@{source.code(d)}\n" for d in kept_decorators(unit, helper.node))
    header += source.between(start, stop)
    text = helper.text or f"{source.indent(first)}pass\n"
    body = body.replace(mark, header + text)
  return body


def kept_decorators(unit: Unit, node: ast.FunctionDef | ast.Lambda) -> list[ast.expr]:
  """The decorators of a function of a method that are not Linen's."""
  found = [] if isinstance(node, ast.Lambda) else node.decorator_list
  called = [(d, d.func if isinstance(d, ast.Call) else d) for d in found]
  return [d for d, f in called if not (unit.resolve(f) or "").startswith("flax.linen.")]


def _mark(node: ast.Lambda) -> str:
  return f"CLOSURE__{node.lineno}_{node.col_offset}__"


def handed_on(unit: Unit, name: str, node: ast.AST) -> bool:
  """Whether a function of a method is given to others, who call it, rather than called here."""
  method = _method(unit, node)
  loads = [n for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == name] if method is not None else []
  for load in loads:
    call = unit.source.parents.get(load)
    if isinstance(load.ctx, ast.Load) and not (isinstance(call, ast.Call) and call.func is load):
      return True
  return False


def _makes(unit: Unit, value: ast.Lambda) -> bool:
  """Whether a lambda makes layers, or would where an example came to it."""
  if unit.makes_layers(value, unit.source):
    return True
  calls = [n for n in ast.walk(value.body) if isinstance(n, ast.Call)]
  return bool(unit.guards) and any(unit.untraced_layer(c) is not None and unit.creates(c) for c in calls)


def _method(unit: Unit, node: ast.AST) -> ast.AST | None:
  return next((n for n in unit.source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
