"""The text of a whole class: signature, `__init__`, methods."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
from collections import Counter
from typing import Any

from flax import linen as nn

from migrate.codemod.scope import Block, Local, Stmt, prune, render
from migrate.codemod.sites import InstanceKey, SizeArg, follow_name
from migrate.codemod.sizes import TOKEN
from migrate.codemod.source import names_in
from migrate.codemod.unit import ClassResult, Unit
from migrate.core.report import Finding

_SITE = re.compile(r"SITE__(\d+)__")


def rewrite_class(unit: Unit) -> ClassResult:
  """Rewrites one class. Raises MigrateError where something can't be rewritten."""
  info = unit.info
  setup = info.methods.get("setup")
  setup_lines = _setup(unit, setup) if setup is not None else []
  compact = info.compact_methods()
  order = [n for n in info.methods if n != "setup"]
  order.sort(key=lambda n: _first_run(unit, n))
  texts: dict[str, str] = {}
  order.sort(key=lambda n: n not in compact)
  for name in order:
    helper = unit.helpers.get(f"self.{name}")
    if helper is not None and helper.text:
      texts[name] = _helper_method(unit, info.methods[name], helper)
      continue
    texts[name] = _method(unit, info.methods[name], name in compact)
  body, _ = prune(unit.block)
  setup_text: list[str] = []
  for line in _fill_lists(unit, "\n".join(setup_lines)).split("\n") if setup_lines else []:
    setup_text += _fill_sites(unit, line).split("\n")
  init_lines = render(body, "", unit.step)
  bases = [unit.results[b] for b in info.cls.__mro__[1:] if b in unit.results]
  needs_init = bool(info.fields or setup is not None or init_lines or unit.needs_rngs or not bases)
  sizes, rename = _size_arguments(unit, "\n".join([*setup_text, *init_lines]))
  inherited = _inherited_sizes(unit)
  optional = {s.name for s in sizes if s.optional} | {t for t, n in rename.items() if any(s.name == n and s.optional for s in sizes)}
  if optional:
    body, _ = prune(_guarded(unit.block, optional))
    init_lines = render(body, "", unit.step)
  text = _assemble(unit, texts, setup_text, init_lines, sizes, inherited, needs_init or bool(sizes))
  for old, new in rename.items():
    text = re.sub(rf"\b{old}\b", new, text)
  try:
    ast.parse(textwrap.dedent(text))
  except SyntaxError as error:
    lines = text.split("\n")
    raise unit.refusal(info.node, f"{info.name}: the rewriting does not parse near `{lines[min((error.lineno or 1), len(lines)) - 1].strip()}`",
                       "Python", "report this class") from error  # fmt: skip
  outputs = {m: [[_renamed(c, rename) for c in axis] for axis in dims] for m, dims in unit.outputs.items()}
  return ClassResult(info, text, [*inherited, *sizes], sorted(unit.call_fields), unit.variable_sites, outputs, unit.imports,
                     unit.templates, [s.name for s in sizes if s.parameter is None], bool(unit.sites or init_lines))  # fmt: skip


def _guarded(block: list[Stmt | Block], optional: set[str]) -> list[Stmt | Block]:
  """What needs a size that not every instance has is made only where it is given."""
  found: list[Stmt | Block] = []
  for item in block:
    if isinstance(item, Block):
      found.append(Block([(h, _guarded(b, optional)) for h, b in item.parts], item.comments, item.loop))
    elif item.partial and not names_in(item.text()) & optional and found and isinstance(found[-1], Block) and "is not None:" in found[-1].parts[0][0]():
      found[-1].parts[0][1].append(item)
    elif item.keep and (missing := sorted(names_in(item.text()) & optional)):
      test = f"if {missing[0]} is not None:"
      last = found[-1] if found else None
      if isinstance(last, Block) and len(last.parts) == 1 and last.parts[0][0]() == test:
        last.parts[0][1].append(item)
      else:
        found.append(Block([(lambda t=test: t, [item])]))
    else:
      found.append(item)
  return found


def _renamed(text: str, rename: dict[str, str]) -> str:
  for old, new in rename.items():
    text = re.sub(rf"\b{old}\b", new, text)
  return text


def _first_run(unit: Unit, name: str) -> tuple[int, int]:
  runs = unit.project.activations.get((unit.source.path, f"{unit.info.name}.{name}"), [])
  return (0 if runs else 1, min((a.number for a in runs), default=unit.info.methods[name].lineno))


# ---- methods


def _method(unit: Unit, node: ast.FunctionDef, compact: bool) -> str:
  """The method's lines, decorators and comments above included."""
  unit.method = node.name
  arguments = node.args
  names = [a.arg for a in [*arguments.posonlyargs, *arguments.args]]
  static = any("staticmethod" in ast.unparse(d) for d in node.decorator_list)
  unit.self_name = names[0] if names and not static else ""
  unit.parameters = {a.arg for a in ast.walk(arguments) if isinstance(a, ast.arg)} - {unit.self_name}
  unit.env = {}
  unit.assigned = Counter(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
  unit._dims = {}
  _bind_parameters(unit, node)
  before = len(unit.findings)
  body = unit.body(node.body)
  del before, compact
  extra = [f for f in sorted(unit.call_fields) if f not in unit.parameters and re.search(rf"\b{f}\b", body)]
  header = _method_header(unit, node, extra)
  body = _place_closures(unit, body)
  if name_iterators := sorted(unit.method_iterators):
    indent = unit.source.indent(node.body[0])
    body = "".join(f"{indent}{a} = iter(self.{a})\n" for a in name_iterators) + body
    unit.method_iterators.clear()
  for name in unit.dead_lists:
    body = _drop_empty_list(body, name)
  body = _drop_dead_assignments(unit, node, body)
  if not body.strip():
    body = f"{unit.source.indent(node.body[0])}pass\n"
  return header + body


def _helper_method(unit: Unit, node: ast.FunctionDef, helper: Any) -> str:
  """A method that makes layers: it takes them from its caller, or from attributes where it runs once."""
  unit.self_name = node.args.args[0].arg
  unit.parameters = {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)} - {unit.self_name}
  unit.env = {}
  header = _method_header(unit, node, [])
  if helper.layers:
    header = _add_parameters(unit, node, header, ["layers"]).replace("layers=None", "layers")
  return header + _drop_dead_assignments(unit, node, _place_closures(unit, helper.text))


def _place_closures(unit: Unit, body: str) -> str:
  """Layer-making functions inside a method, with the body that takes its layers from the iterator."""
  for helper in unit.helpers.values():
    if helper.kind != "closure":
      continue
    mark = f"CLOSURE__{helper.node.name}__\n"
    if mark not in body:
      continue
    first = helper.node.body[0]
    start = unit.source.offset(helper.node.lineno, 0)
    stop = unit.source.offset(unit.source.lead(first), 0) if first.lineno != helper.node.lineno else unit.source.span(first)[0]
    header = unit.source.between(start, stop)
    text = helper.text or f"{unit.source.indent(first)}pass\n"
    body = body.replace(mark, header + text)
  return body


def _bind_parameters(unit: Unit, node: ast.FunctionDef) -> None:
  runs = unit.project.activations.get((unit.source.path, f"{unit.info.name}.{node.name}"), [])
  for name in unit.parameters:
    values = [(a, a.arguments.get(name)) for a in runs if name in a.arguments]
    arrays = [(a, v) for a, v in values if hasattr(v, "shape") and hasattr(v, "dtype")]
    if not arrays or any(not hasattr(v, "shape") for _, v in values if v is not None):
      unit.env.pop(name, None)
      continue
    rank = min(len(v.shape) for _, v in arrays)
    dims: list[list[str]] = []
    for axis in range(rank, 0, -1):
      sizes: dict[InstanceKey, set[int]] = {}
      for activation, value in arrays:
        sizes.setdefault(unit.owner_key(activation), set()).add(value.shape[-axis])
      known = all(len(s) == 1 for s in sizes.values())
      dims.append([f"SIZE__{name}__{axis}"] if known and node.name != "setup" else [])
      if known:
        key = f"SIZE__{name}__{axis}"
        unit.tokens.setdefault((name, axis), node.name)
        unit.token_values.setdefault(key, {}).update({k: next(iter(s)) for k, s in sizes.items()})
        unit.token_rank[key] = rank
    unit.env[name] = Local("array", None, dims)


def _method_header(unit: Unit, node: ast.FunctionDef, extra: list[str]) -> str:
  """Everything up to the body; Linen's decorators go, arguments that calls give now are added."""
  source = unit.source
  lines: list[str] = []
  for decorator in node.decorator_list:
    full = unit.resolve(decorator if not isinstance(decorator, ast.Call) else decorator.func)
    if full is not None and full.startswith("flax.linen."):
      short = full.rpartition(".")[2]
      if short in ("compact", "nowrap", "compact_name_scope"):
        continue
      unit.leave(decorator, f"the decorator {full}")
    lines.append(f"{source.indent(node)}@{unit.compose(decorator, unit.text) if isinstance(decorator, ast.Call) else unit.text(decorator)}\n")
  start = source.offset(node.lineno, 0)
  body = node.body[0]
  inline = body.lineno == node.lineno
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
    text = _add_parameters(unit, node, text, extra)
  return "".join(lines) + text


def _add_parameters(unit: Unit, node: ast.FunctionDef, text: str, extra: list[str]) -> str:
  """Adds keyword arguments to a method's signature."""
  defaults = {f.name: f.default for f in _all_fields(unit)}
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
  else:
    inner = inner.rstrip(",").rstrip()
    inner = f"{inner}, {star}{joined}"
  return text[: start + 1] + inner + text[close:]


def _all_fields(unit: Unit) -> list[Any]:
  """Fields of the class and of its rewritten bases, in order, the nearest definition winning."""
  found: dict[str, Any] = {}
  for base in reversed(unit.info.cls.__mro__):
    info = unit.project.info(base)
    for field in info.fields if info is not None else ():
      found[field.name] = field
  return list(found.values())


def _drop_empty_list(body: str, name: str) -> str:
  return re.sub(rf"^[ \t]*{name}\s*(:[^=\n]*)?=\s*(\[\]|list\(\)|nnx\.List\(\[\]\))[ \t]*(#.*)?\n", "", body, flags=re.M)


def _drop_dead_assignments(unit: Unit, node: ast.FunctionDef, body: str) -> str:
  """Assignments to plain names that only construction needed."""
  static = {n for n, v in unit.env.items() if v.kind in ("static", "size")}
  lines = body.split("\n")
  while True:
    try:
      tree = ast.parse(textwrap.dedent("def f():\n" + textwrap.indent(textwrap.dedent("\n".join(lines)), "  ")))
    except SyntaxError:
      return "\n".join(lines)
    loaded = Counter(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))
    dead = None
    original = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    for inner in ast.walk(tree):
      if isinstance(inner, ast.Assign) and len(inner.targets) == 1 and isinstance(inner.targets[0], ast.Name):
        name = inner.targets[0].id
        if name in static and not loaded[name] and name in original and _is_pure(inner.value):
          dead = inner
          break
    if dead is None:
      return "\n".join(lines)
    first, last = dead.lineno - 2, (dead.end_lineno or dead.lineno) - 2
    block = _enclosing_block(tree, dead)
    if block is not None and len(block) == 1:
      lines[first : last + 1] = [lines[first][: len(lines[first]) - len(lines[first].lstrip())] + "pass"]
    else:
      del lines[first : last + 1]


def _enclosing_block(tree: ast.AST, statement: ast.stmt) -> list[ast.stmt] | None:
  for node in ast.walk(tree):
    for name in ("body", "orelse", "finalbody"):
      block = getattr(node, name, None)
      if isinstance(block, list) and statement in block:
        return block
  return None


def _is_pure(node: ast.AST) -> bool:
  return not any(isinstance(n, ast.NamedExpr | ast.Await | ast.Yield) for n in ast.walk(node))


# ---- setup


def _setup(unit: Unit, node: ast.FunctionDef) -> list[str]:
  """The body of `setup` as lines for `__init__`, without its indentation."""
  unit.in_setup = True
  unit.self_name = node.args.args[0].arg
  unit.parameters = set()
  unit.env = {}
  for inner in ast.walk(node):
    if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store) and isinstance(inner.value, ast.Name):
      if inner.value.id == unit.self_name:
        unit.used.add(inner.attr)
  statements = node.body
  text = _setup_block(unit, statements)
  unit.in_setup = False
  lines = textwrap.dedent(text).rstrip("\n").split("\n")
  return [line for line in lines] if text.strip() else []


def _setup_block(unit: Unit, statements: list[ast.stmt]) -> str:
  out = ""
  for i, statement in enumerate(statements):
    lead = "".join(unit.source.lines[unit.source.lead(statement) - 1 : unit.source.first_line(statement) - 1])
    if i == 0 and not lead.strip():
      lead = ""
    text = _setup_statement(unit, statement)
    if text is not None:
      out += lead + text
  return out


def _setup_statement(unit: Unit, node: ast.stmt) -> str | None:
  source = unit.source
  write = _setup_writer(unit)
  if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
    return None if len(unit.info.methods["setup"].body) == 1 else unit.own_lines(node, source.code(node))
  if isinstance(node, ast.Pass):
    return None
  if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and unit.resolve(node.value.func) == "flax.linen.share_scope":
    return None
  if isinstance(node, ast.Expr) and source.code(node.value).replace(" ", "") in ("super().setup()", "super().__init__()"):
    return None
  if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    value = _setup_value(unit, targets, node.value)
    if value == "NOTHING__":
      return None
    start, at = source.span(node)[0], source.span(node.value)[0]
    head = source.between(start, at)
    if isinstance(node, ast.AnnAssign):
      head = f"{source.code(node.target)}: {unit.text(node.annotation)} = {unit.around(node, node.value)[0]}"
    for target in targets:
      for name in ast.walk(target):
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
          unit.env[name.id] = Local("static", node.value, residue=unit.residue_of(node.value))
        if isinstance(name, ast.Attribute) and isinstance(name.ctx, ast.Store):
          unit.readable.add(name.attr)
    return unit.own_lines(node, head + value + unit.around(node, node.value)[1])
  if isinstance(node, ast.If | ast.For | ast.While | ast.With):
    for name in ast.walk(node):
      if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
        unit.env.setdefault(name.id, Local("static", None))
    return _setup_compound(unit, node)
  if isinstance(node, ast.FunctionDef):
    unit.env[node.name] = Local("static", None)
    own = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    own |= {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
    return unit.own_lines(node, unit.static(node, frozenset(own)))
  return unit.own_lines(node, unit.compose(node, write))


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
  code = unit.source.code(value.func) if isinstance(value, ast.Call) else ""
  if isinstance(value, ast.Call) and code in (f"{unit.self_name}.param", f"{unit.self_name}.variable"):
    return _setup_variable(unit, targets, value)
  reads = {n.attr for n in ast.walk(value) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == unit.self_name}
  if own and len(targets) == 1 and reads & set(unit.derived) and isinstance(value, ast.BinOp):
    return _rederived(unit, own[0].attr, value)
  params = [n for n in ast.walk(value) if isinstance(n, ast.Call) and unit.source.code(n.func) == f"{unit.self_name}.param"]
  if own and params and isinstance(value, ast.BinOp | ast.Call | ast.UnaryOp | ast.Subscript):
    return _setup_derived(unit, own[0].attr, value, params)
  if own and len(targets) == 1 and isinstance(value, ast.ListComp) and len(value.generators) == 1 and not value.generators[0].ifs:
    if unit.creates(value.elt):
      return _setup_list(unit, own[0].attr, value)
  text = unit.static(value)
  for site in unit.open_variables:
    if own:  # variables inside a container take its name
      site.attr, site.looped = own[0].attr, True
  unit.open_variables.clear()
  shared = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)} & unit.param_locals
  if own and ("nnx.Param(" in text or shared) and isinstance(value, ast.List | ast.ListComp | ast.Tuple):
    unit.need_import("from flax import nnx")
    return f"nnx.List({text})"
  if own:
    events = unit.events(value)
    holds = [_holds_modules(e.value) for e in events]
    if any(holds) and not any(isinstance(e.value, nn.Module) for e in events):
      stripped = unit.source.code(value)
      if not stripped.startswith(("nnx.List", "nnx.Dict")):
        return _container(unit, text, events)
    elif not any(holds) and isinstance(value, ast.List | ast.ListComp) and not events:
      return f"nnx.List({text})" if "SITE__" in text else text
  return text


def _setup_derived(unit: Unit, attr: str, value: ast.expr, params: list[ast.Call]) -> str:
  """`self.scale = c * self.param(...)`: the parameter is kept, and what is computed from it is computed where it is read."""
  if len(params) != 1:
    raise unit.refusal(value, "an attribute computed from several parameters", "one parameter", "give each an attribute of its own")
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

  unit.derived[attr] = unit.compose(value, write)
  return made


def _rederived(unit: Unit, attr: str, value: ast.expr) -> str:
  """`self.scale = self.scale * c` where the first is computed from a parameter: one expression for both."""
  before = dict(unit.derived)

  def write(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in before and node.value.id == unit.self_name:
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
  element = unit.static(value.elt, bound)
  unit.need_import("from flax import nnx")
  outer = next(s for s in reversed(unit.setup_sites) if s.node is value.elt)
  outer.attr, outer.listed, outer.looped = attr, True, True
  unit.comprehensions.append((outer, unit.source.code(generator.target), unit.static(generator.iter), element))
  return f"COMP__{len(unit.comprehensions) - 1}__"


def _fill_lists(unit: Unit, text: str) -> str:
  """Lists of layers: comprehensions, or loops where the layers' sizes differ."""

  def fill(match: re.Match[str]) -> str:
    site, target, iterable, element = unit.comprehensions[int(match.group(3))]
    unit.settle(site, None)
    varies = site.chain is not None or any("[len(self." in t for t in site.texts.values())
    indent, step = match.group(1), unit.step
    if not varies:
      inner = indent + "    "
      return f"{indent}{match.group(2)}nnx.List([\n{inner}{element}\n{inner}for {target} in {iterable}\n{indent}])"
    lines = [f"{indent}self.{site.attr} = nnx.List([])"]
    if site.chain is not None:
      lines.append(f"{indent}{site.chain.name} = {site.chain.first}")
    lines.append(f"{indent}for {target} in {iterable}:")
    lines.append(f"{indent}{step}self.{site.attr}.append({element})")
    if site.chain is not None:
      lines.append(f"{indent}{step}{site.chain.name} = {site.chain.step}")
    return "\n".join(lines)

  return re.sub(r"([ \t]*)(\S[^\n]*= )COMP__(\d+)__", fill, text)


def _container(unit: Unit, text: str, events: list) -> str:
  unit.need_import("from flax import nnx")
  sample = next(e.value for e in events if _holds_modules(e.value))
  if isinstance(sample, dict):
    return f"nnx.Dict({text})"
  if any(isinstance(v, list | tuple) for v in sample):
    return f"nnx.List([nnx.List(part) for part in {text}])"
  return f"nnx.List({text})"


def _holds_modules(value: Any) -> bool:
  if isinstance(value, nn.Module):
    return True
  if isinstance(value, list | tuple):
    return any(map(_holds_modules, value))
  if isinstance(value, dict):
    return any(map(_holds_modules, value.values()))
  return False


def _setup_variable(unit: Unit, targets: list[ast.expr], value: ast.Call) -> str:
  """`self.w = self.param(...)`: the attribute itself becomes the Variable."""
  before = len(unit.block)
  attr = next((t.attr for t in targets if isinstance(t, ast.Attribute)), None)
  unit.variable_site(value, "params" if unit.source.code(value.func).endswith(".param") else None)
  site = unit.variable_sites[-1] if unit.variable_sites else None
  statement: Any = unit.block[-1] if len(unit.block) > before else None
  del unit.block[before:]
  if statement is None or site is None:
    return unit.compose(value, unit.static)
  made = statement.text().partition(" = ")[2]
  if attr is None:
    unit.param_locals |= {t.id for t in targets if isinstance(t, ast.Name)}
    return f"self.{site.attr} = {made}"  # a local of setup: the attribute keeps it, the local goes on
  if attr is not None:
    unit.readable.discard(site.attr)
    site.attr = attr
    unit.readable.add(attr)
    if site.collection == "params":
      unit.array_attributes.add(attr)
    for argument in [*value.args[:2], *[k.value for k in value.keywords if k.arg == "name"]]:
      if isinstance(argument, ast.Constant):
        unit.variable_attrs[str(argument.value)] = attr
  return made


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
  inline = first.lineno == (heads[-1].end_lineno if heads else node.lineno)
  stop = source.span(first)[0] if inline else source.offset(source.lead(first), 0)
  text += source.between(at, stop)
  body = _setup_block(unit, node.body)
  text += (body.lstrip() if inline else body) or f"{source.indent(first)}pass\n"
  orelse = getattr(node, "orelse", [])
  if orelse:
    end = source.offset((node.body[-1].end_lineno or 0) + 1, 0)
    first = orelse[0]
    if isinstance(first, ast.If) and source.code(first).startswith("elif"):
      text += source.between(end, source.offset(first.lineno, 0)) + _setup_compound(unit, first)
    else:
      stop = source.offset(source.lead(first), 0)
      text += source.between(end, stop) + (_setup_block(unit, orelse) or f"{source.indent(first)}pass\n")
  return text


def _fill_sites(unit: Unit, line: str) -> str:
  indent = line[: len(line) - len(line.lstrip())]
  base = len(unit.source.indent(unit.info.node)) + 2 * len(unit.step)

  def fill(match: re.Match[str]) -> str:
    site = unit.setup_sites[int(match.group(1))]
    if not site.attr:
      site.attr = _assigned_attr(line) or "layer"
    unit.settle(site, None)
    rest = len(line) - (match.end() - match.start())
    return unit.write_site(site, 100 - base - min(rest, 40), indent)

  while _SITE.search(line):
    line = _SITE.sub(fill, line)
  return line


def _assigned_attr(line: str) -> str | None:
  match = re.match(r"\s*(?:self\.)?(\w+)(?:\.append\(|\s*(?::[^=]*)?=)", line)
  return match.group(1) if match else None


# ---- the class


def _size_arguments(unit: Unit, text: str) -> tuple[list[SizeArg], dict[str, str]]:
  """Constructor arguments for sizes that `__init__` reads from call arguments, and for what was hoisted."""
  tokens = list(dict.fromkeys(m.group(0) for m in TOKEN.finditer(text)))
  taken = set(unit.field_names) | set(unit.hoists)
  sizes: list[SizeArg] = []
  rename: dict[str, str] = {}
  first: str | None = None
  for token in tokens:
    match = TOKEN.fullmatch(token)
    assert match is not None
    parameter, axis = match.group(1), int(match.group(2))
    first = first or parameter
    rank = unit.token_rank.get(token, 2)
    if axis == 1:
      name = "in_features" if parameter == first else f"{parameter}_features"
    elif rank == 4 and axis in (2, 3):
      name = {2: "width", 3: "height"}[axis] if parameter == first else f"{parameter}_{ {2: 'width', 3: 'height'}[axis]}"
    elif axis == 2 and rank == 3:
      name = "length" if parameter == first else f"{parameter}_length"
    else:
      name = f"{parameter}_dim{rank - axis}"
    base, i = name, 1
    while name in taken:
      i += 1
      name = f"{base}_{i}" if base != "in_features" else f"{parameter}_features"
      base = name if base == "in_features" else base
    taken.add(name)
    rename[token] = name
    sizes.append(SizeArg(name, parameter, axis, unit.tokens.get((parameter, axis), "__call__"), unit.token_values.get(token, {})))
  sizes.sort(key=lambda s: (s.axis != 1, s.name != "in_features"))
  for size in [*sizes, *unit.hoists.values()]:
    size.optional = any(size.values.get(k) is None for k in unit.instances) or not size.values
  used = names_in_all(text)
  hoisted = [s for s in unit.hoists.values() if s.name in used]
  return sizes + hoisted, rename


def names_in_all(text: str) -> set[str]:
  """Identifiers of a text, parsed or not."""
  return names_in(textwrap.dedent(text)) or set(re.findall(r"\b[A-Za-z_]\w*\b", text))


def _inherited_sizes(unit: Unit) -> list[SizeArg]:
  found: list[SizeArg] = []
  base = _base_with_init(unit)
  return list(base.sizes) if base is not None else found


def _calls_super_setup(unit: Unit) -> bool:
  setup = unit.info.methods.get("setup")
  return setup is not None and "super().setup()" in unit.source.code(setup).replace(" ", "")


def _assemble(unit: Unit, texts: dict[str, str], setup: list[str], init: list[str], sizes: list[SizeArg],
              inherited: list[SizeArg], needs_init: bool) -> str:  # fmt: skip
  info, source = unit.info, unit.source
  node = info.node
  indent = source.indent(node) + unit.step
  out = _class_header(unit)
  field_nodes = [f.node for f in info.fields]
  placed = not needs_init
  skipped_first = True
  body = [s for s in node.body]
  init_text = _init_text(unit, setup, init, sizes, inherited, indent) if needs_init else ""
  first_method = next((s for s in body if isinstance(s, ast.FunctionDef)), None)
  anchor = info.methods.get("setup") or first_method
  if isinstance(anchor, ast.FunctionDef) and any("property" in ast.unparse(d) for d in anchor.decorator_list):
    anchor = first_method
  for statement in body:
    lead = "".join(source.lines[source.lead(statement) - 1 : source.first_line(statement) - 1])
    if statement in field_nodes or _is_kw_only(statement):
      continue
    if statement is anchor and not placed:
      out += ("\n" if not out.endswith("\n\n") and not skipped_first else "") + ("" if lead.startswith("\n") else "\n")
      out += init_text
      placed = True
      if statement is info.methods.get("setup"):
        continue
      lead = lead if lead.startswith("\n") else "\n" + lead
    if statement is info.methods.get("setup"):
      continue
    skipped_first = False
    if isinstance(statement, ast.FunctionDef) and statement.name in texts:
      if not lead.startswith("\n") and out.rstrip().endswith((")", ":", '"')) and len(out.splitlines()) > 1:
        lead = "\n" + lead
      out += lead + texts[statement.name]
    elif isinstance(statement, ast.Pass) and needs_init:
      continue
    else:
      unit.env, unit.parameters, unit.self_name = {}, set(), ""
      if isinstance(statement, ast.Expr):
        text = source.code(statement)
      else:
        text = unit.compose(statement, unit.text)
      out += lead + unit.own_lines(statement, text)
  if not placed:
    out += "\n" + init_text
  return re.sub(r"\n{3,}", "\n\n", out)


def _is_kw_only(statement: ast.stmt) -> bool:
  return isinstance(statement, ast.AnnAssign) and "KW_ONLY" in ast.unparse(statement.annotation)


def _class_header(unit: Unit) -> str:
  source, node = unit.source, unit.info.node
  unit.env, unit.parameters, unit.self_name = {}, set(), ""
  text = ""
  for decorator in node.decorator_list:
    full = unit.resolve(decorator.func if isinstance(decorator, ast.Call) else decorator)
    if full is not None and full.startswith("flax.linen."):
      continue
    if _needs_dataclass(full):
      unit.note(Finding(unit.where(decorator), f"left out: the decorator {full}, which reads dataclass fields", "a decorator for any class",
                        "put it back once it takes an NNX module", "eye", "L2N105"))  # fmt: skip
      continue
    text += f"{source.indent(node)}@{unit.text(decorator)}\n"
  start, first = source.offset(node.lineno, 0), node.body[0]
  stop = source.offset(source.lead(first), 0)
  at = start
  for base in sorted([*node.bases, *[k.value for k in node.keywords]], key=lambda b: source.span(b)[0]):
    a, b = source.span(base)
    text += source.between(at, a) + unit.text(base)
    at = b
  text += source.between(at, stop)
  return re.sub(r",?\s*(kw_only|unsafe_hash|frozen)\s*=\s*(True|False)", "", text)


def _needs_dataclass(full: str | None) -> bool:
  """Whether a class decorator reads what only a dataclass has."""
  found = follow_name(full) if full else None
  try:
    text = inspect.getsource(found) if found is not None else ""
  except (OSError, TypeError):
    return False
  return "dataclass" in text or "__dataclass_fields__" in text or "fields(" in text


def _init_text(unit: Unit, setup: list[str], init: list[str], sizes: list[SizeArg], inherited: list[SizeArg], indent: str) -> str:
  fields = [f for f in _all_fields(unit) if f.name not in unit.call_fields]
  own = {f.name for f in unit.info.fields}
  unit.env, unit.parameters, unit.self_name = {}, set(), ""
  step = unit.step
  rows: list[tuple[list[str], str, str]] = [([], "self", "")]
  known = [s for s in [*inherited, *sizes] if not s.optional]
  unknown = [s for s in [*inherited, *sizes] if s not in known]
  rows += [([], f"{s.name}: {_size_type(s)}", "") for s in known]
  keyword_rows: list[tuple[list[str], str, str]] = []
  seen_default = False
  for field in fields:
    home = next((i for i in unit.project.classes.values() if field in i.fields), unit.info)
    with unit.reading(home):
      annotation = unit.text(field.node.annotation)
      default = _default(unit, field)
      foreign = {n: unit.names.resolve(n) for n in names_in(f"{annotation}, {default}")} if home is not unit.info else {}
    for name, full in foreign.items():
      if full and "." in full and unit.names.resolve(name) != full and not full.startswith("flax."):
        unit.need_import(f"from {full.rpartition('.')[0]} import {full.rpartition('.')[2]}" + ("" if full.endswith(f".{name}") else f" as {name}"))
    text = f"{field.name}: {annotation}" + (f" = {default}" if default is not None else "")
    comments = unit.source.comments_above(field.node) if field.name in own else []
    trailing = unit.source.trailing_comment(field.node) if field.name in own else ""
    if field.keyword_only or (default is None and seen_default):
      keyword_rows.append((comments, text, trailing))
    else:
      rows.append((comments, text, trailing))
    seen_default = seen_default or default is not None
  unit.need_import("from flax import nnx")
  keyword_rows += [([], f"{s.name}: {_size_type(s)} | None = None", "") for s in unknown]
  rows += [([], "*", ""), *keyword_rows, ([], "rngs: nnx.Rngs", "")]
  plain = not any(c or t for c, _, t in rows)
  line = f"{indent}def __init__({', '.join(t for _, t, _ in rows)}):"
  if plain and len(line) <= 100 and "\n" not in line:
    text = line + "\n"
  else:
    text = f"{indent}def __init__(\n"
    for comments, row, trailing in rows:
      text += "".join(f"{indent}    {c}\n" for c in comments)
      text += f"{indent}    {row},{'  ' + trailing if trailing else ''}\n"
    text += f"{indent}):\n"
  lines: list[str] = []
  base = _base_with_init(unit)
  if base is not None:
    base_fields = {f.name for b in base.info.cls.__mro__ for i in [unit.project.info(b)] if i is not None for f in i.fields}
    lines += [f"self.{f.name} = {_stored(unit, f)}" for f in fields if f.name in own and f.name not in base_fields]
    given = [f"{s.name}={s.name}" for s in inherited]
    given += [f"{f.name}={f.name}" for f in fields if f.name in base_fields]
    lines.append(f"super().__init__({', '.join([*given, 'rngs=rngs'])})")
  else:
    lines += [f"self.{f.name} = {_stored(unit, f)}" for f in fields]
  if unit.needs_rngs:
    lines.append("self.rngs = rngs.fork()")
  lines += setup
  lines += init
  if not lines:
    lines = ["pass"]
  return text + "".join(f"{indent}{step}{line}\n" if line.strip() else "\n" for line in lines)


def _stored(unit: Unit, field: Any) -> str:
  """What `self.field` keeps: containers that may hold layers or arrays become NNX's own."""
  values = _field_values(unit, field.name)
  if any(_holds_modules(v) and not isinstance(v, nn.Module) for v in values):
    sample = next(v for v in values if _holds_modules(v) and not isinstance(v, nn.Module))
    return f"nnx.Dict({field.name})" if isinstance(sample, dict) else f"nnx.List({field.name})"
  if any(v is None for v in values) and any(isinstance(v, nn.Module) for v in values):
    return f"nnx.data({field.name})"
  return field.name


def _field_values(unit: Unit, name: str) -> list[Any]:
  found = []
  for fact in unit.project.facts:
    for call in fact.calls:
      if isinstance(call.module, unit.info.cls):
        found.append(call.module.__dict__.get(name))
  return found


def _default(unit: Unit, field: Any) -> str | None:
  value = field.node.value
  if value is None:
    return None
  if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] == "field":
    for keyword in value.keywords:
      if keyword.arg == "default":
        return unit.text(keyword.value)
      if keyword.arg == "default_factory":
        inner = keyword.value
        if isinstance(inner, ast.Lambda):
          return unit.text(inner.body)
        text = unit.text(inner)
        return {"dict": "{}", "list": "()", "tuple": "()"}.get(text, f"{text}()")
    return None
  return unit.text(value)


def _base_with_init(unit: Unit) -> ClassResult | None:
  """The nearest rewritten base whose `__init__` this class must run."""
  if "setup" in unit.info.methods and not _calls_super_setup(unit):
    return None
  for base in unit.info.cls.__mro__[1:]:
    result = unit.results.get(base)
    if result is not None and "def __init__(" in result.text:
      return None if result.compact_sites and unit.info.compact_methods() else result
  return None


def _size_type(size: SizeArg) -> str:
  values = list(size.values.values())
  if any(isinstance(v, tuple) for v in values):
    return "tuple"
  kinds = {type(v) for v in values if v is not None}
  return {int: "int", bool: "bool", str: "str", float: "float"}.get(kinds.pop(), "int") if len(kinds) == 1 else "int"


@dataclasses.dataclass
class Rewritten:
  """A rewritten file."""

  path: str
  module: str
  text: str
  classes: list[ClassResult]
