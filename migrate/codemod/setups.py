"""The body of `setup`, for `__init__`."""

from __future__ import annotations

import ast
import re
import textwrap
from typing import Any

from flax import linen as nn

from migrate.codemod.base_calls import super_method
from migrate.codemod.choices import choice
from migrate.codemod.first_values import takes_more_later
from migrate.codemod.frozen import are_lists, as_tuple
from migrate.codemod.host_arrays import holds_plain_arrays, on_host
from migrate.codemod.inheritance import base_with_init
from migrate.codemod.layer_lists import layers_in_row
from migrate.codemod.lookups import drop_unused_imports
from migrate.codemod.matches import setup_match
from migrate.codemod.project import holds_modules
from migrate.codemod.remarks import comments_in
from migrate.codemod.scope import Local
from migrate.codemod.setup_builders import builder_call
from migrate.codemod.setup_lists import apart, container, places_in
from migrate.codemod.setup_locals import assigned_later, goes_into_list
from migrate.codemod.source import branches_of, names_in
from migrate.codemod.super_setups import base_runs_late, is_super_setup
from migrate.codemod.unit import Unit
from migrate.codemod.untraced_containers import untraced_container


def write_setup(unit: Unit, node: ast.FunctionDef) -> list[str]:
  """The body of `setup` as lines for `__init__`, without its indentation."""
  unit.in_setup = True
  unit.self_name = node.args.args[0].arg
  unit.parameters = set()
  unit.env = {}
  for inner in ast.walk(node):
    if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store) and isinstance(inner.value, ast.Name):
      if inner.value.id == unit.self_name:
        unit.used.add(inner.attr)
  unit.note_setup_locals(node)
  text = setup_block(unit, node.body)
  unit.in_setup = False
  lines = drop_unused_imports(textwrap.dedent(text).rstrip("\n")).split("\n")
  return list(lines) if text.strip() else []


def setup_block(unit: Unit, statements: list[ast.stmt]) -> str:
  """Statements that run at construction, for `__init__` or a function that it calls."""
  out = ""
  for i, statement in enumerate(statements):
    lead = "".join(unit.source.lines[unit.source.lead(statement) - 1 : unit.source.first_line(statement) - 1])
    if i == 0 and not lead.strip():
      lead = ""
    gone = unit.computed is not None and unit.computed.leaves(statement)
    gone = gone or any(statement in f.statements for f in unit.bound)
    text = None if gone else _setup_statement(unit, statement)
    if text is not None:
      inside = [c for n in _variables_of(unit, statement) for c in comments_in(unit.source, n)]
      out += lead + "".join(f"{unit.source.indent(statement)}{c}\n" for c in inside) + text
    out += "".join(f"{unit.source.indent(statement)}{line}\n" for line in unit.after_setup)
    unit.after_setup.clear()
  return out


def _is_variable(unit: Unit, call: ast.Call) -> bool:
  """Whether a call is `self.param` or `self.variable`."""
  return unit.source.code(call.func) in (f"{unit.self_name}.param", f"{unit.self_name}.variable")


def _gives_variable(call: ast.Call) -> bool:
  """Whether it is `self.variable(...)`, which gives the Variable where `self.param(...)` gives its value."""
  return isinstance(call.func, ast.Attribute) and call.func.attr == "variable"


def _variables_of(unit: Unit, statement: ast.stmt) -> list[ast.Call]:
  """Calls of a simple statement that make variables: their text is written anew, so that comments inside go above."""
  if not isinstance(statement, ast.Assign | ast.AnnAssign):
    return []
  calls = [n for n in ast.walk(statement) if isinstance(n, ast.Call)]
  return [c for c in calls if _is_variable(unit, c)]


def _setup_statement(unit: Unit, node: ast.stmt) -> str | None:
  source = unit.source
  write = _setup_writer(unit)
  if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
    around = source.parents.get(node)
    alone = isinstance(around, ast.FunctionDef) and len(around.body) == 1
    return None if alone else unit.own_lines(node, source.code(node))
  if isinstance(node, ast.Import | ast.ImportFrom):
    if unit.takes_linen(node):
      return None
    for alias in node.names:
      unit.env[(alias.asname or alias.name).partition(".")[0]] = Local("static", None)
    return unit.own_lines(node, source.code(node))
  if _is_nothing(unit, node):
    return None
  if isinstance(node, ast.Expr) and super_method(unit, node.value) in ("setup", "__init__", "__post_init__"):
    late = is_super_setup(unit, node) and base_with_init(unit) is not None and base_runs_late(unit)
    return unit.own_lines(node, "super().setup()") if late else None
  if pairs := apart(unit, node):
    lines = [f"{source.code(target)} = {_setup_value(unit, [target], value)}" for target, value in pairs]
    unit.readable |= {target.attr for target, _ in pairs}
    return unit.own_lines(node, f"\n{source.indent(node)}".join(lines))
  if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    value = choice(unit, node) or on_host(unit, targets, _setup_value(unit, targets, node.value))  # pyright: ignore
    if value == "NOTHING__":
      return None
    start, at = source.span(node)[0], source.span(node.value)[0]
    head = source.between(start, at)
    if isinstance(node, ast.AnnAssign):
      # a Variable is no array, and two targets take no annotation
      variable = isinstance(node.value, ast.Call) and _is_variable(unit, node.value)
      said = "" if variable else f": {unit.text(node.annotation)}"
      head = f"{source.code(node.target)}{said} = {unit.around(node, node.value)[0]}"
    for target in targets:
      for name in ast.walk(target):
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
          unit.env[name.id] = Local("static", node.value, residue=unit.residue_of(node.value))
        if isinstance(name, ast.Attribute) and isinstance(name.ctx, ast.Store):
          unit.readable.add(name.attr)
    if unit.computed is not None and {t.id for t in targets if isinstance(t, ast.Name)} & unit.computed.unread:
      head = ""  # the attribute has it
    return unit.own_lines(node, head + value + unit.around(node, node.value)[1])
  if isinstance(node, ast.Expr) and (built := builder_call(unit, node.value, setup_block)) is not None:
    return unit.own_lines(node, built)
  if isinstance(node, ast.Return) and isinstance(node.value, ast.Call) and _is_variable(unit, node.value):
    return unit.own_lines(node, "return " + _setup_variable(unit, unit.building.targets, node.value))
  if isinstance(node, ast.If) and all(_is_nothing(unit, s) for s in [*node.body, *node.orelse]):
    return None
  if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and len(node.value.args) == 3:
    function, (owner, name, _) = source.code(node.value.func), node.value.args
    if function == "object.__setattr__" and source.code(owner) == unit.self_name and isinstance(name, ast.Constant):
      unit.readable.add(str(name.value))
      return unit.own_lines(node, f"self.{name.value} = {write(node.value.args[2])}")
  if isinstance(node, ast.If | ast.For | ast.While | ast.With):
    for name in ast.walk(node):
      if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
        unit.env.setdefault(name.id, Local("static", None))
    return _setup_compound(unit, node)
  if isinstance(node, ast.Try):
    return _setup_try(unit, node)
  if isinstance(node, ast.Match):
    return setup_match(unit, node, lambda body: setup_block(unit, body))
  if isinstance(node, ast.FunctionDef):
    unit.env[node.name] = Local("static", None)
    if (factory := unit.factory_at(node, source)) is not None:
      return factory.text
    own = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    own |= {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
    return unit.own_lines(node, unit.static(node, frozenset(own)))
  return unit.own_lines(node, unit.compose(node, write))


def _is_nothing(unit: Unit, node: ast.stmt) -> bool:
  """Whether a statement says only where Linen keeps variables."""
  if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
    return unit.resolve(node.value.func) == "flax.linen.share_scope"
  return isinstance(node, ast.Pass)


def _setup_writer(unit: Unit) -> Any:
  def write(node: ast.AST) -> str:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
      return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
      return unit.source.code(node)
    return unit.static(node)

  return write


def _setup_value(unit: Unit, targets: list[ast.expr], value: ast.expr) -> str:
  """What an attribute of `setup` is assigned."""
  own = [t for t in targets if isinstance(t, ast.Attribute)]
  if isinstance(value, ast.Call) and _is_variable(unit, value):
    return _setup_variable(unit, targets, value)
  if own and (built := builder_call(unit, value, setup_block, targets)) is not None:
    return built
  reads = {
    n.attr
    for n in ast.walk(value)
    if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == unit.self_name
  }
  if own and len(targets) == 1 and reads & set(unit.derived) and isinstance(value, ast.BinOp):
    return _rederived(unit, own[0].attr, value)
  params = [
    n for n in ast.walk(value) if isinstance(n, ast.Call) and unit.source.code(n.func) == f"{unit.self_name}.param"
  ]
  if own and params and isinstance(value, ast.BinOp | ast.Call | ast.UnaryOp | ast.Subscript):
    return _setup_derived(unit, own[0].attr, value, params)
  if (
    own
    and len(targets) == 1
    and isinstance(value, ast.ListComp)
    and len(value.generators) == 1
    and not value.generators[0].ifs
  ):
    if all(unit.creates(e) for e in layers_in_row(value.elt)):
      return _setup_list(unit, own[0].attr, value)
  text, chosen = unit.static(value), branches_of(value)
  for site in (s for s in unit.setup_sites if own and s.node in chosen):
    site.attr = own[0].attr
  places = places_in(unit, value)
  for i, site in enumerate(unit.open_variables):
    if own:  # variables inside a container take its name
      site.attr, site.looped = own[0].attr, True
      site.first = places[i] if len(places) == len(unit.open_variables) else 0
  unit.open_variables.clear()
  shared = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)} & unit.param_locals
  if own and ("nnx.Param(" in text or shared) and isinstance(value, ast.List | ast.ListComp | ast.Tuple):
    unit.need_import("from flax import nnx")
    return f"nnx.List({text})"
  if own and takes_more_later(unit, own[0].attr, value):
    unit.need_import("from flax import nnx")
    return f"nnx.data({text})"
  if own:
    events = unit.events(value)
    holds = [holds_modules(e.value) for e in events]
    if any(holds) and not any(isinstance(e.value, nn.Module) for e in events):
      stripped = unit.source.code(value)
      if not stripped.startswith(("nnx.List", "nnx.Dict")):
        return container(unit, text, next(e.value for e in events if holds_modules(e.value)))
    elif (arrays := next((e.value for e in events if holds_plain_arrays(e.value)), None)) is not None:
      return container(unit, text, arrays)  # NNX takes a tuple for structure
    elif not events and (sample := untraced_container(unit, own[0].attr, value)) is not None:
      return container(unit, text, sample)
    if isinstance(value, ast.List | ast.ListComp) and are_lists([e.value for e in events]):
      return as_tuple(text)
  return text


def _setup_derived(unit: Unit, attr: str, value: ast.expr, params: list[ast.Call]) -> str:
  """`self.scale = c * self.param(...)`: the parameter is kept, and what is computed from it is computed where it is read."""
  if len(params) != 1:
    raise unit.refusal(
      value, "an attribute computed from several parameters", "one parameter", "give each an attribute of its own"
    )
  made = unit.setup_variable(params[0])
  site = unit.open_variables.pop()
  unit.used.discard(site.attr)
  site.attr = attr
  unit.readable.add(attr)

  def write(node: ast.AST) -> str:
    if node is params[0]:
      return f"self.{attr}[...]"
    if isinstance(node, ast.Name | ast.Attribute | ast.Constant):
      return unit.static(node)
    return unit.compose(node, write)

  text = unit.compose(value, write)
  for name in sorted(names_in(f"({text})") & {n for n, v in unit.env.items() if v.kind == "static"}):
    own = unit.attribute(name)  # methods need it too
    unit.after_setup.append(f"self.{own} = {name}")
    text = re.sub(rf"(?<![\w.]){name}\b", f"self.{own}", text)
  unit.derived[attr] = text
  return made


def _rederived(unit: Unit, attr: str, value: ast.expr) -> str:
  """`self.scale = self.scale * c` where the first is computed from a parameter: one expression for both."""
  before = dict(unit.derived)

  def write(node: ast.AST) -> str:
    if (
      isinstance(node, ast.Attribute)
      and isinstance(node.value, ast.Name)
      and node.attr in before
      and node.value.id == unit.self_name
    ):
      return f"({before[node.attr]})"
    if isinstance(node, ast.Name | ast.Attribute | ast.Constant):
      return unit.static(node)
    return unit.compose(node, write)

  unit.derived[attr] = unit.compose(value, write)
  return "NOTHING__"


def _setup_list(unit: Unit, attr: str, value: ast.ListComp) -> str:
  """`self.layers = [Block(...) for ...]`: kept as it is unless a size goes from layer to layer."""
  generator = value.generators[0]
  bound = frozenset(n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name))
  before = len(unit.setup_sites)
  row = layers_in_row(value.elt)
  made = [unit.static(e, bound) for e in row]
  element = made[0] if row[0] is value.elt else f"nnx.List([{', '.join(made)}])"
  unit.need_import("from flax import nnx")
  outer = next(s for s in reversed(unit.setup_sites) if s.node is row[0])
  outer.attr, outer.listed, outer.looped = attr, True, True
  for inner in unit.setup_sites[before:]:
    if inner is not outer:
      inner.attr, inner.looped, inner.listed, inner.around = attr, True, True, outer
  unit.comprehensions.append((outer, unit.source.code(generator.target), unit.static(generator.iter), element))
  return f"COMP__{len(unit.comprehensions) - 1}__"


def _setup_variable(unit: Unit, targets: list[ast.expr], value: ast.Call) -> str:
  """`self.w = self.param(...)`: the attribute itself becomes the Variable."""
  if unit.setup_loops and goes_into_list(unit, targets, value):
    return unit.setup_variable(value)
  before = len(unit.block)
  attr = next((t.attr for t in targets if isinstance(t, ast.Attribute)), None) or assigned_later(unit, targets, value)
  unit.variable_site(value, "params" if unit.source.code(value.func).endswith(".param") else None)
  site = unit.variable_sites[-1] if unit.variable_sites else None
  statement: Any = unit.block[-1] if len(unit.block) > before else None
  del unit.block[before:]
  if statement is None or site is None:
    return unit.compose(value, unit.static)
  made = statement.text().partition(" = ")[2]
  unit.parameter_attrs[value] = attr or site.attr
  if attr is None:
    unit.param_locals |= {t.id for t in targets if isinstance(t, ast.Name)}
    return f"self.{site.attr} = {made}"  # a local of setup: the attribute keeps it, the local goes on
  if attr is not None:
    unit.readable.discard(site.attr)
    site.attr = attr
    unit.readable.add(attr)
    if site.collection == "params" and not _gives_variable(value):
      unit.array_attributes.add(attr)
      unit.note_shape(value, attr)
    for argument in [*value.args[:2], *[k.value for k in value.keywords if k.arg == "name"]]:
      if isinstance(argument, ast.Constant):
        unit.variable_attrs[str(argument.value)] = attr
  return made


def _setup_try(unit: Unit, node: ast.Try) -> str:
  for name in ast.walk(node):
    if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
      unit.env.setdefault(name.id, Local("static", None))
  unit.env |= {h.name: Local("static", None) for h in node.handlers if h.name}
  text, at = "", unit.source.offset(node.lineno, 0)
  for body in [node.body, *(h.body for h in node.handlers), node.orelse, node.finalbody]:
    if body:
      text += unit.source.between(at, unit.source.offset(unit.source.lead(body[0]), 0))
      text += setup_block(unit, body) or f"{unit.source.indent(body[0])}pass\n"
      at = unit.source.offset((body[-1].end_lineno or 0) + 1, 0)
  return text


def _setup_compound(unit: Unit, node: Any) -> str:
  source = unit.source
  start = source.offset(node.lineno, 0)
  text, at = "", start
  inner = {ast.If: ["test"], ast.While: ["test"], ast.For: ["iter"]}.get(type(node), [])
  heads = [getattr(node, n) for n in inner] if inner else [i.context_expr for i in node.items]
  for child in heads:
    a, b = source.span(child)
    text += source.between(at, a) + unit.static(child)
    at = b
  first = node.body[0]
  inline = source.shares_line(first)
  stop = source.span(first)[0] if inline else source.offset(source.lead(first), 0)
  text += source.between(at, stop)
  unit.setup_loops += isinstance(node, ast.For | ast.While)
  body = setup_block(unit, node.body)
  if isinstance(node, ast.For | ast.While):
    unit.setup_loops -= 1
    for name in ast.walk(node.target) if isinstance(node, ast.For) else ():
      if isinstance(name, ast.Name):
        unit.env.pop(name.id, None)  # a layer of another loop must not take a size from it
  text = _suite(unit, text, body, first)
  orelse = getattr(node, "orelse", [])
  if orelse and not (unit.computed is not None and all(map(unit.computed.leaves, orelse))):
    end = source.offset((node.body[-1].end_lineno or 0) + 1, 0)
    first = orelse[0]
    if isinstance(first, ast.If) and source.code(first).startswith("elif"):
      text += source.between(end, source.offset(first.lineno, 0)) + _setup_compound(unit, first)
    else:
      stop = source.span(first)[0] if source.shares_line(first) else source.offset(source.lead(first), 0)
      text = _suite(unit, text + source.between(end, stop), setup_block(unit, orelse), first)
  return text


def _suite(unit: Unit, header: str, body: str, first: ast.stmt) -> str:
  """A header and its suite, which stays behind the colon where it stood there and is still one line."""
  if not unit.source.shares_line(first):
    return header + (body or f"{unit.source.indent(first)}pass\n")
  if len(body.strip().split("\n")) > 1:
    return header.rstrip(" ") + "\n" + textwrap.indent(body, unit.step)
  return header + (body.lstrip() or "pass\n")
