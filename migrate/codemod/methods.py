"""The text of a method."""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import Any

from migrate.codemod.closures import place_closures
from migrate.codemod.compound import iterator_of
from migrate.codemod.computed import computed_prefix
from migrate.codemod.dead import drop_dead
from migrate.codemod.inheritance import all_fields
from migrate.codemod.interfaces import asks_for_nothing
from migrate.codemod.items import axes_of, bind_items
from migrate.codemod.lifted import lifted
from migrate.codemod.overrides import reading_call, reading_header
from migrate.codemod.paragraphs import without_moved
from migrate.codemod.plain_loops import plain_loops
from migrate.codemod.project import is_array
from migrate.codemod.scope import Local
from migrate.codemod.sizes import token
from migrate.codemod.unit import Unit


def write_method(unit: Unit, node: ast.FunctionDef) -> str:
  """The method's lines, decorators and comments above included."""
  unit.method = node.name
  arguments = node.args
  names = [a.arg for a in [*arguments.posonlyargs, *arguments.args]]
  static = any("staticmethod" in ast.unparse(d) for d in node.decorator_list)
  unit.self_name = names[0] if names and not static else ""
  unit.parameters = {a.arg for a in ast.walk(arguments) if isinstance(a, ast.arg)} - {unit.self_name}
  unit.env = {}
  unit.assigned = Counter(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
  functions = {n.name for n in ast.walk(node) if isinstance(n, ast.FunctionDef)}
  unit.local_names = unit.parameters | set(unit.assigned) | functions
  unit._dims, unit.pipelines, unit.carried, unit.computed_used = {}, {}, {}, set()
  # a class method or static method makes instances, not layers of this one
  unit.no_sites = any(d in ("staticmethod", "classmethod") for d in map(ast.unparse, node.decorator_list))
  _bind_parameters(unit, node)
  names, since = unit.names, len(unit.paragraphs)
  body = unit.body(node.body)
  unit.no_sites, unit.names = False, names
  extra = [f for f in sorted(unit.call_fields) if f not in unit.parameters and re.search(rf"\b{f}\b", body)]
  header = method_header(unit, node, extra)
  if unit.reads_params and node.name == "param":
    header, body = reading_header(unit, node, header), body + reading_call(unit, node)
  body = place_closures(unit, body)
  indent = unit.source.indent(node.body[0])
  begins = computed_prefix(unit, node)
  begins += "".join(f"{indent}{iterator_of(unit, a)} = iter(self.{a})\n" for a in sorted(unit.method_iterators))
  if begins:
    first = node.body[0] if ast.get_docstring(node, clean=False) is not None and len(node.body) > 1 else None
    after = body.index("\n", len(unit.source.code(first)) + body.index(unit.source.code(first))) + 1 if first else 0
    body = body[:after] + begins + body[after:]
    unit.method_iterators.clear()
  for name in unit.dead_lists:
    body = _drop_empty_list(body, name)
  body = plain_loops(
    drop_dead(body, _only_static(unit), node, unit.array_statements),
    _only_static(unit),
    unit.parameters,
    unit.counted_lists,
  )
  if (left := without_moved(unit, body, since)) != body:
    body = drop_dead(left, _only_static(unit), node, unit.array_statements)
  if not body.strip():
    body = f"{unit.source.indent(node.body[0])}pass\n"
  elif not unit.source.shares_line(node.body[0]) and unit.source.lines[unit.source.lead(node.body[0]) - 1].strip():
    body = body.lstrip("\n")  # what stood first went
  if header.endswith("\n"):
    return header + body
  lines = body.strip().split("\n")
  if len(lines) == 1:
    return header + lines[0] + "\n"
  indent = unit.source.indent(node) + unit.step
  return "\n".join([header.rstrip(), *(indent + line.strip() for line in lines)]) + "\n"


def helper_method(unit: Unit, node: ast.FunctionDef, helper: Any) -> str:
  """A method that makes layers: it takes them from its caller, or from attributes where it runs once."""
  unit.self_name = node.args.args[0].arg
  unit.parameters = {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)} - {unit.self_name}
  unit.env = {}
  header = method_header(unit, node, [])
  header = _with_parameters(unit, node, header, helper)
  return header + drop_dead(place_closures(unit, helper.text), _only_static(unit), node)


def _with_parameters(unit: Unit, node: ast.FunctionDef, header: str, helper: Any) -> str:
  """The header with what the callers of a layer-making function give it besides."""
  names = [*dict.fromkeys((helper.left or {}).values()), *(["layers"] if helper.takes_layers else [])]
  if not names:
    return header
  header = add_parameters(unit, node, header, names)
  for name in names:
    header = header.replace(f"{name}=None", name)
  return header


def helper_function(unit: Unit, helper: Any) -> str:
  """A top-level function that makes layers: it takes them from its caller."""
  node = helper.node
  unit.self_name, unit.env = "", {}
  unit.parameters = {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
  imports, unit.imports = unit.imports, set()
  with unit.reading_in(helper.source, helper.names or unit.names):
    header = method_header(unit, node, [])
  helper.imports |= unit.imports
  unit.imports = imports
  header = _with_parameters(unit, node, header, helper)
  return header + drop_dead(place_closures(unit, helper.text), _only_static(unit), node)


def _bind_parameters(unit: Unit, node: ast.FunctionDef) -> None:
  runs = unit.project.activations.get((unit.source.path, f"{unit.info.name}.{node.name}"), [])
  if unit.untraced and node.name == "__call__":
    _bind_untraced(unit, node)
    return
  for name in unit.parameters:
    values = [(a, a.arguments.get(name)) for a in runs if name in a.arguments]
    arrays = [(a, v) for a, v in values if is_array(v)]
    if not arrays or any(v is not None and not is_array(v) for _, v in values):
      unit.env.pop(name, None)
      if node.name == "__call__":
        bind_items(unit, name, values)
      continue
    named = name if node.name == "__call__" else f"{name}_IN_{node.name}"
    unit.env[name] = Local("array", None, axes_of(unit, named, node.name, arrays))


def _bind_untraced(unit: Unit, node: ast.FunctionDef) -> None:
  """Where no example comes, arguments that every call must give are taken for arrays, known by their last axis."""
  required = node.args.args[1 : len(node.args.args) - len(node.args.defaults)]
  for name in (a.arg for a in required):
    unit.tokens.setdefault((name, 1), node.name)
    unit.token_rank[token(name, 1)] = 2
    unit.env[name] = Local("array", None, [[token(name, 1)]])


def method_header(unit: Unit, node: ast.FunctionDef, extra: list[str]) -> str:
  """Everything up to the body; Linen's decorators go, arguments that calls give now are added."""
  source = unit.source
  lines: list[str] = []
  for i, decorator in enumerate(node.decorator_list):
    if i:
      lines += _comments_after(unit, node, node.decorator_list[i - 1])
    full = unit.resolve(decorator if not isinstance(decorator, ast.Call) else decorator.func)
    if asks_for_nothing(unit, node, decorator):
      continue
    lift = lifted(unit, node, decorator)
    if lift is not None:
      lines.append(f"{source.indent(node)}@{lift}\n")
      continue
    if full is not None and full.startswith("flax.linen."):
      short = full.rpartition(".")[2]
      if short in ("compact", "nowrap", "compact_name_scope"):
        continue
      unit.leave(decorator, f"the decorator {full}")
    lines.append(
      f"{source.indent(node)}@{unit.compose(decorator, unit.text) if isinstance(decorator, ast.Call) else unit.text(decorator)}\n"
    )
  if node.decorator_list:
    lines += _comments_after(unit, node, node.decorator_list[-1])
  start = source.offset(node.lineno, 0)
  body = node.body[0]
  inline = source.shares_line(body)
  stop = source.span(body)[0] if inline else source.offset(source.lead(body), 0)
  text, at = "", start
  annotations = [a.annotation for a in ast.walk(node.args) if isinstance(a, ast.arg) and a.annotation is not None]
  annotations += [d for d in [*node.args.defaults, *node.args.kw_defaults] if d is not None]
  if node.returns is not None:
    annotations.append(node.returns)
  saved, unit.env, unit.parameters = unit.env, {}, set()
  names = {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
  for annotation in sorted(annotations, key=lambda a: source.span(a)[0]):
    a, b = source.span(annotation)
    text += source.between(at, a) + unit.text(annotation)
    at = b
  unit.env, unit.parameters = saved, names - {unit.self_name}
  text += source.between(at, stop)
  if extra:
    text = add_parameters(unit, node, text, extra)
  return "".join(lines) + text


def _comments_after(unit: Unit, node: ast.FunctionDef, decorator: ast.expr) -> list[str]:
  """Lines of comments between a decorator and the next one, or the `def`."""
  last = decorator.end_lineno or decorator.lineno
  after = min([d.lineno for d in node.decorator_list if d.lineno > last], default=node.lineno)
  return [line for line in unit.source.lines[last : after - 1] if line.lstrip().startswith("#")]


def add_parameters(unit: Unit, node: ast.FunctionDef, text: str, extra: list[str]) -> str:
  """Adds keyword arguments to a method's signature."""
  defaults = {f.name: f.default for f in all_fields(unit)}
  pieces = []
  for name in extra:
    default = defaults.get(name)
    if name in defaults:
      pieces.append(f"{name}={default}" if default is not None else f"{name}=None")
    else:
      pieces.append(f"{name}=None")
  depth, close = 0, None
  start = text.index("(")
  for i in range(start, len(text)):
    if text[i] in "([{":
      depth += 1
    elif text[i] in ")]}":
      depth -= 1
      if depth == 0:
        close = i
        break
  assert close is not None
  inner = text[start + 1 : close].rstrip()
  star = "" if node.args.vararg or node.args.kwonlyargs else "*, "
  joined = ", ".join(pieces)
  if node.args.kwarg is not None:
    at = inner.rindex("**")
    inner = f"{inner[:at]}{star}{joined}, {inner[at:]}"
  elif "\n" in (tail := text[start + 1 + len(inner) : close]):  # a line for each, the closing parenthesis on its own
    indent = re.findall(r"^[ \t]*", inner.rpartition("\n")[2])[0]
    rows = ["*"] * bool(star) + pieces
    inner = inner.rstrip(",").rstrip() + "".join(f",\n{indent}{row}" for row in rows) + "," + tail
  else:
    inner = inner.rstrip(",").rstrip()
    inner = f"{inner}{', ' * bool(inner)}{star}{joined}"
  return text[: start + 1] + inner + text[close:]


def _drop_empty_list(body: str, name: str) -> str:
  return re.sub(
    rf"^[ \t]*{name}\s*(:[^=\n]*)?=\s*(\[\]|list\(\)|nnx\.List\(\[\]\))[ \t]*(#.*)?\n", "", body, flags=re.M
  )


def _only_static(unit: Unit) -> set[str]:
  """Names that hold nothing but what construction knows."""
  return {n for n, v in unit.env.items() if v.kind in ("static", "size")} | unit.hoisted_locals
