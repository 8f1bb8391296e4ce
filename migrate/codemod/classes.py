"""The text of a whole class: signature, `__init__`, methods."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap

from migrate.codemod.accessors import unread_accessor
from migrate.codemod.bound_functions import bound_methods, find_bound
from migrate.codemod.closed_sizes import closed_outputs
from migrate.codemod.closures import kept_decorators
from migrate.codemod.computed import COMPUTED, computed_method, find_computed
from migrate.codemod.dataclasses_kept import constructor_attributes, init_fields, needs_dataclass, reading_decorators
from migrate.codemod.factory_text import read_factory
from migrate.codemod.field_docs import field_docs
from migrate.codemod.guards import guarded, under_guards
from migrate.codemod.handed_values import tell_unread
from migrate.codemod.hidden_names import with_other_names
from migrate.codemod.inheritance import CONSTRUCTION, assigned_by_bases, base_with_init, inherited_sizes, inherits_rngs
from migrate.codemod.inits import docstring_of, init_text, keeps_dataclass, size_type
from migrate.codemod.interfaces import hiding_fields, is_empty_protocol
from migrate.codemod.items import item_size_name
from migrate.codemod.methods import helper_function, helper_method, write_method
from migrate.codemod.overrides import reads_params
from migrate.codemod.paragraphs import place_comments
from migrate.codemod.results import ClassResult, FunctionResult
from migrate.codemod.scope import Block, Stmt, prune, render, without_stops
from migrate.codemod.setup_builders import builder_text, fill_builders, fill_calls, write_builders
from migrate.codemod.setup_lists import fill_chains, fill_lists, guard_setup
from migrate.codemod.setups import write_setup
from migrate.codemod.site import InstanceKey, SizeArg, follow_name
from migrate.codemod.sizes_pool import TOKEN
from migrate.codemod.source import names_in
from migrate.codemod.subclass_factories import factory_text, hook_text, subclass_factory
from migrate.codemod.supers import base_attributes
from migrate.codemod.unit import Unit
from migrate.codemod.unread import drop_unread
from migrate.core.report import Finding


def rewrite_class(unit: Unit) -> ClassResult:
  """Rewrites one class. Raises MigrateError where something can't be rewritten."""
  info, unit.read_factory, unit.subclass_factory = unit.info, read_factory, subclass_factory
  if reading_decorators(unit):
    unit.readable |= constructor_attributes(unit)
  unit.readable |= assigned_by_bases(unit)
  if (base := base_with_init(unit)) is not None:
    unit.used |= base_attributes(base)
  unit.reads_params = reads_params(unit)
  setup = info.methods.get("setup")
  checks = info.methods.get("__post_init__")
  setup_lines = write_setup(unit, checks) if checks is not None else []
  if setup is not None:
    setup_lines += unit.source.comments_above(setup) if checks is not None else []
    unit.computed = find_computed(unit, setup)
    unit.bound = find_bound(unit, setup)
    setup_lines += write_setup(unit, setup)
  compact = info.compact_methods()
  order = [n for n in info.methods if n not in CONSTRUCTION and n not in unit.building.builders]
  order.sort(key=lambda n: _first_run(unit, n))
  texts: dict[str, str] = {}
  parts: dict[str, list[Stmt | Block]] = {}
  if unit.computed is not None:
    texts[COMPUTED] = computed_method(unit)
  if setup is not None and unit.bound:
    texts[COMPUTED] = texts.get(COMPUTED, "") + bound_methods(unit, setup, unit.bound, unit.source.indent(setup))
  order.sort(key=lambda n: (not unit.only_computes(info.methods[n]), n not in compact))
  for name in order:
    if (made := factory_text(unit, info.methods[name])) is not None:
      texts[name] = made
      continue
    helper = unit.helpers.get(f"self.{name}")
    if helper is not None and helper.text:
      texts[name] = helper_method(unit, info.methods[name], helper)
      continue
    before = len(unit.block)
    texts[name] = hook_text(unit, info.methods[name], write_method(unit, info.methods[name]))
    parts[name] = unit.block[before:] = without_stops(unit.block[before:])
  unit.block = under_guards(unit, parts)
  body, _ = prune(unit.block)
  place_comments(unit, body)
  setup_text: list[str] = []
  if setup_lines:
    setup_text = fill_chains(unit, fill_lists(unit, "\n".join(setup_lines)).split("\n"))
    said, setup_text = docstring_of(setup_text)
    setup_text = [*said, *(f"{n}_iter = iter({n})" for n in dict.fromkeys(unit.size_iterators)), *setup_text]
  fill_builders(unit)
  built = builder_text(unit)
  init_lines = render(body, "", unit.step)
  bases = [b for b in info.cls.__mro__[1:] if b in unit.results or unit.project.record(b) is not None]
  needed = setup is not None or checks is not None or bool(init_lines)
  alone = not bases and not inspect.isabstract(info.cls)
  needs_init = bool(info.fields or needed or unit.needs_rngs or unit.flags or alone)
  unit.needs_rngs |= needs_init and inherits_rngs(unit)
  inherited = inherited_sizes(unit)
  unit.inherited = {s.name for s in inherited}
  handed = unit.resolve_method_sizes("\n".join([*setup_text, *init_lines, built]))
  sizes, rename = _size_arguments(
    unit, _renamed("\n".join([*unit.super_sizes.values(), *setup_text, *init_lines, built]), handed)
  )
  rename = {t: _renamed(e, rename) for t, e in handed.items()} | rename
  optional = {s.name for s in sizes if s.optional} | {
    t for t, n in rename.items() if any(s.name == n and s.optional for s in sizes)
  }
  if optional:
    absent = {
      n: _absent(unit, s) for s in sizes if s.optional for n in [s.name, *(t for t in rename if rename[t] == s.name)]
    }
    body, _ = prune(guarded(body, absent))
    init_lines = render(body, "", unit.step)
    setup_text = guard_setup(
      setup_text, optional - {n for s in unit.setup_sites for n in unit.sizes_left_out(s)}, unit.step
    )
  texts |= write_builders(unit, [s.name for s in [*inherited, *sizes]], rename)
  setup_text = [fill_calls(unit, line) for line in setup_text]
  tell_unread(unit, sizes, texts)
  text = _assemble(unit, texts, setup_text, init_lines, sizes, inherited, needs_init or bool(sizes))
  for old, new in rename.items():
    text = re.sub(rf"\b{old}\b", new, text)
  functions = [
    FunctionResult(h.source.path, h.node.name, helper_function(unit, h), h.imports, h.templates)
    for h in unit.helpers.values()
    if h.kind == "function" and h.text
  ]
  named = [h for h in unit.helpers.values() if h.text and not isinstance(h.node, ast.Lambda)]
  taking = [
    (h.kind, h.node.name)
    for h in named
    if (h.takes_layers or h.left or h.kind == "closure") and not kept_decorators(unit, h.node)
  ]
  taking += [("method", name) for name in unit.building.builders]
  pieces = drop_unread({"": text} | {f"{f.file}:{f.name}": f.text for f in functions}, taking)
  text = with_other_names(unit, pieces[""])
  for function in functions:
    function.text = pieces[f"{function.file}:{function.name}"]
  try:
    ast.parse(textwrap.dedent(text))
  except SyntaxError as error:
    lines = text.split("\n")
    raise unit.refusal(info.node, f"{info.name}: the rewriting does not parse near `{lines[min((error.lineno or 1), len(lines)) - 1].strip()}`",
                       "Python", "report this class") from error  # fmt: skip
  outputs = {
    m: [[_renamed(c, rename) for c in axis] for axis in closed_outputs(unit, unit.dims_outside(dims))]
    for m, dims in unit.outputs.items()
  }
  return ClassResult(info, text, [*inherited, *sizes], sorted(unit.call_fields), unit.variable_sites, outputs, unit.imports,
                     unit.templates, [s.name for s in sizes if s.parameter is None], bool(unit.sites or init_lines), functions,
                     list(unit.flags.values()), frozenset(unit.maker_fields),
                     {k: [[[_renamed(c, rename) for c in axis] for axis in dims] for dims in calls] for k, calls in unit.handed.items()})  # fmt: skip


def _renamed(text: str, rename: dict[str, str]) -> str:
  for old, new in rename.items():
    text = re.sub(rf"\b{old}\b", new, text)
  return text


def _first_run(unit: Unit, name: str) -> tuple[int, int]:
  runs = unit.project.activations.get((unit.source.path, f"{unit.info.name}.{name}"), [])
  return (0 if runs else 1, min((a.number for a in runs), default=unit.info.methods[name].lineno))


def _size_arguments(unit: Unit, text: str) -> tuple[list[SizeArg], dict[str, str]]:
  """Constructor arguments for sizes that `__init__` reads from call arguments, and for what was hoisted."""
  tokens = list(dict.fromkeys(m.group(0) for m in TOKEN.finditer(text)))
  taken = set(unit.field_names) | set(unit.hoists) | {s.name for s in inherited_sizes(unit)} | _assigned(text)
  sizes: list[SizeArg] = []
  rename: dict[str, str] = {}
  for token in tokens:
    match = TOKEN.fullmatch(token)
    assert match is not None
    named, axis = match.group(1), int(match.group(2))
    parameter, _, method = named.partition("_IN_")
    same = next((t for t in rename if _same_size(unit, t, token)), None)
    if same is not None:
      rename[token] = rename[same]
      continue
    name = short = _size_kind(unit, token, axis)
    if own := item_size_name(parameter, short):
      name = short = own
    elif name == "features" and "in_features" not in taken:
      name = "in_features"
    elif name in taken or name == "features":
      name = short = f"{parameter}_{short}"
    i = 1
    while name in taken:
      i += 1
      name = f"{short}_{i}"
    taken.add(name)
    rename[token] = name
    sizes.append(
      SizeArg(name, None if own else parameter, axis, method or "__call__", unit.token_values.get(token, {}))
    )
  sizes.sort(key=lambda s: (s.axis != 1 or "length" in s.name, s.name != "in_features", -s.axis))
  for size in [*sizes, *unit.hoists.values()]:
    size.optional = bool(_absent(unit, size)) or not (size.values or unit.untraced or size.default)
  used = names_in_all(text)
  hoisted = [s for s in unit.hoists.values() if s.name in used or s.name == "name"]
  return sizes + hoisted, rename


def _absent(unit: Unit, size: SizeArg) -> set[InstanceKey]:
  """The instances that have no such size."""
  return {k for k in unit.instances if size.values.get(k) is None} if not size.default else set()


def _assigned(text: str) -> set[str]:
  """Locals of `__init__`, which an argument of the same name would be confused with."""
  try:
    tree = ast.parse(textwrap.dedent(text))
  except SyntaxError:
    return set()
  return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _size_kind(unit: Unit, token: str, axis: int) -> str:
  """What an axis of a call argument counts, as far as its place tells."""
  rank = unit.token_rank.get(token, 2)
  if axis == rank and rank > 1:
    return "batch_size"
  if token in unit.counting:
    return "length"
  if axis == 1:
    return "features"
  if rank == 4:
    return "features" if axis == 3 and _goes_into_convolution(unit, token) else {2: "width", 3: "height"}[axis]
  return "length" if rank == 3 else f"dim{rank - axis}"


def _goes_into_convolution(unit: Unit, token: str) -> bool:
  """Whether a size is what a convolution takes for features: the channels come first."""
  sites = [*unit.setup_sites, *unit.sites.values(), *unit.inner_sites]
  return any(s.record is not None and "Conv" in s.record.linen and s.texts.get("in_features") == token for s in sites)


def _same_size(unit: Unit, token: str, other: str) -> bool:
  """Whether two arguments have the same batch or length in every instance, at more than one set of sizes."""
  values, others = unit.token_values.get(token, {}), unit.token_values.get(other, {})
  kinds = {_size_kind(unit, t, int(t.rpartition("__")[2])) for t in (token, other)}
  return (
    bool(values) and values == others and len(kinds) == 1 and "features" not in kinds and len(set(values.values())) > 1
  )


def names_in_all(text: str) -> set[str]:
  """Identifiers of a text, parsed or not."""
  return names_in(textwrap.dedent(text)) or set(re.findall(r"\b[A-Za-z_]\w*\b", text))


def _assemble(unit: Unit, texts: dict[str, str], setup: list[str], init: list[str], sizes: list[SizeArg],
              inherited: list[SizeArg], needs_init: bool) -> str:  # fmt: skip
  info, source = unit.info, unit.source
  node = info.node
  indent = source.indent(node) + unit.step
  out = _class_header(unit)
  field_nodes = [f.node for f in info.fields]
  placed = not needs_init
  skipped_first = True
  body = list(node.body)
  opening = init_text(unit, setup, init, sizes, inherited, indent) if needs_init else ""
  opening += "\n" + texts[COMPUTED].lstrip("\n") if COMPUTED in texts else ""
  first_method = next((s for s in body if isinstance(s, ast.FunctionDef)), None)
  own = sorted((info.methods[n] for n in CONSTRUCTION if n in info.methods), key=lambda m: m.lineno)
  anchor = own[0] if own else first_method
  if isinstance(anchor, ast.FunctionDef) and any("property" in ast.unparse(d) for d in anchor.decorator_list):
    anchor = first_method
  kept = keeps_dataclass(unit)
  methods = "\n".join([opening, *texts.values()])
  hiding = hiding_fields(unit)
  moved = {d for n, d in field_docs(unit).items() if n not in hiding and source.code(d).split("\n")[0] in opening}
  for statement in body:
    lead = "".join(source.lines[source.lead(statement) - 1 : source.first_line(statement) - 1])
    lead = re.sub(r"^[ \t]+$", "", lead, flags=re.MULTILINE)
    if kept and (statement in field_nodes or _is_kw_only(statement)):
      unit.env, unit.parameters, unit.self_name = {}, set(), ""
      out += lead + unit.own_lines(statement, unit.compose(statement, unit.text))
      if statement is field_nodes[-1]:
        added = [*inherited, *sizes]
        out += init_fields(unit, added, {s.name: size_type(s) for s in added}, indent)
      skipped_first = False
      continue
    if statement in field_nodes and isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) in hiding:
      unit.env, unit.parameters, unit.self_name = {}, set(), ""
      text = unit.compose(statement, unit.text) + ("" if statement.value is not None else " = None")
      out += lead + unit.own_lines(statement, text)
      skipped_first = False
      continue
    if statement in field_nodes or _is_kw_only(statement) or statement in moved:
      continue
    if statement is anchor and not placed:
      if not skipped_first and not out.endswith("\n\n"):
        out += "\n"
      if statement in own:
        out += lead.lstrip("\n")
      out += opening
      placed = True
      if statement in own:
        continue
      lead = lead if lead.startswith("\n") else "\n" + lead
    if statement in own:
      continue
    skipped_first = False
    if isinstance(statement, ast.FunctionDef) and statement.name in texts and statement is info.methods[statement.name]:
      if not lead.startswith("\n") and out.rstrip().endswith((")", ":", '"')) and len(out.splitlines()) > 1:
        lead = "\n" + lead
      out += lead + texts[statement.name]
    elif (isinstance(statement, ast.Pass) and needs_init) or unread_accessor(unit, statement, methods):
      continue
    else:
      unit.env, unit.parameters, unit.self_name = {}, set(), ""
      inner = next((r for r in unit.results.values() if r.info.node is statement), None)
      if inner is not None:  # a module class inside this one
        out += lead + inner.text
        unit.imports |= inner.imports
        continue
      if isinstance(statement, ast.Expr):
        text = source.code(statement)
      else:
        text = unit.compose(statement, unit.text)
      above = source.lines[source.first_line(statement) - 1 : statement.lineno - 1]  # decorators
      out += lead + "".join(above) + unit.own_lines(statement, text)
  if not placed:
    out += "\n" + opening
  return re.sub(r"\n{3,}", "\n\n", out)


def _is_kw_only(statement: ast.stmt) -> bool:
  return isinstance(statement, ast.AnnAssign) and "KW_ONLY" in ast.unparse(statement.annotation)


def _class_header(unit: Unit) -> str:
  source, node = unit.source, unit.info.node
  unit.env, unit.parameters, unit.self_name = {}, set(), ""
  text = ""
  kept = keeps_dataclass(unit)
  reading = reading_decorators(unit)
  for decorator in node.decorator_list:
    full = unit.resolve(decorator.func if isinstance(decorator, ast.Call) else decorator)
    if full is not None and full.startswith("flax.linen."):
      continue
    if kept and decorator in reading:
      text += f"{source.indent(node)}@{unit.template('template:fields_only.fields_only')}({unit.text(decorator)})\n"
      continue
    if needs_dataclass(full):
      unit.note(Finding(unit.where(decorator), f"left out: the decorator {full}, which reads dataclass fields", "a decorator for any class",
                        "put it back once it takes an NNX module", "eye", "L2N105"))  # fmt: skip
      continue
    text += f"{source.indent(node)}@{unit.text(decorator)}\n"
  if kept:
    keyword_only = "kw_only=True, " if any(k.arg == "kw_only" for k in node.keywords) else ""
    text += f"{source.indent(node)}@dataclasses.dataclass({keyword_only}eq=False, repr=False)\n"
  start, first = source.offset(node.lineno, 0), node.body[0]
  stop = source.offset(source.lead(first), 0)
  at = start
  for base in sorted([*node.bases, *[k.value for k in node.keywords]], key=lambda b: source.span(b)[0]):
    a, b = source.span(base)
    between = source.between(at, a)
    if base in node.bases and len(node.bases) > 1 and is_empty_protocol(unit, base):
      text += between.rstrip().removesuffix(",")  # the comma before it, or the one after
      between = source.between(b, stop)
      at = b + len(between) - len(between.lstrip(", ")) if base is node.bases[0] else b
      continue
    text += between + unit.text(base)
    at = b
  text += source.between(at, stop)
  if _maps_arguments(unit):
    text = re.sub(r"\)(\s*:)", r", pytree=False)\1", text, count=1)
  return re.sub(r",?\s*(kw_only|unsafe_hash|frozen)\s*=\s*(True|False)", "", text)


def _maps_arguments(unit: Unit) -> bool:
  """Whether a decorator maps over the arrays of all arguments; the module, a pytree in NNX, must be no part of that."""
  for base in unit.info.cls.__mro__:
    info = unit.project.info(base)
    if info is None:
      continue
    with unit.reading(info):
      for decorator in (d for m in info.methods.values() for d in m.decorator_list):
        full = unit.resolve(decorator.func if isinstance(decorator, ast.Call) else decorator)
        found = follow_name(full) if full and not full.startswith(("flax.", "jax.", "functools.")) else None
        try:
          text = inspect.getsource(found) if inspect.isfunction(found) else ""
        except OSError:
          continue
        if re.search(r"\btree_map|\btree\.map", text):
          return True
  return False


@dataclasses.dataclass
class Rewritten:
  """A rewritten file."""

  path: str
  module: str
  text: str
  classes: list[ClassResult]
