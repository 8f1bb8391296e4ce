"""Whole files: every reached class rewritten, the rest as it was."""

from __future__ import annotations

import ast
import dataclasses
import functools
import logging
from collections.abc import Sequence
from typing import Any

from migrate.codemod.factories import Factory
from migrate.codemod.given_classes import giving_functions
from migrate.codemod.handed_makers import handed_maker
from migrate.codemod.imports import Names, tidy_imports
from migrate.codemod.imports_edit import Positions, apply_edits, drop_aliases, remove_statement, used_names
from migrate.codemod.left_classes import by_reading, reason, tell_unbound_name, unbound_name
from migrate.codemod.local_classes import around_classes, with_instances
from migrate.codemod.maker_closures import around_makers, is_handed_out
from migrate.codemod.maker_nodes import at_the_top, bound_by
from migrate.codemod.makers import Maker, Makers, unreached_makers
from migrate.codemod.project import ClassInfo, Project
from migrate.codemod.recursion import rewrite_settled, unit_of
from migrate.codemod.results import ClassResult, FunctionResult
from migrate.codemod.site import linen_behind
from migrate.codemod.source import Source
from migrate.codemod.star_imports import names_of
from migrate.codemod.static import CallField, NotStatic
from migrate.codemod.tables import table_writer
from migrate.codemod.told_sizes import tell_sizes
from migrate.codemod.unit import Unit
from migrate.codemod.with_axes import only_named_axes
from migrate.core.report import Finding, MigrateError
from migrate.trace.facts import Activation
from migrate.trace.instrument import Position


@dataclasses.dataclass
class Rewriting:
  """What came of a project.

  Attributes:
    sources: module name -> new text, imports tidied.
    keep: module name -> ported top-level names.
    results: class -> its rewriting.
    findings: what the user must know.
    imports: module name -> import statements that were added.
    templates: template files that the sources use.
    left: classes that could not be rewritten.
    collections: Variable types by collection.
    factories: functions that make layers, by file and position; None for what is none.
  """

  sources: dict[str, str] = dataclasses.field(default_factory=dict)
  keep: dict[str, set[str]] = dataclasses.field(default_factory=dict)
  results: dict[type, ClassResult] = dataclasses.field(default_factory=dict)
  findings: list[Finding] = dataclasses.field(default_factory=list)
  imports: dict[str, set[str]] = dataclasses.field(default_factory=dict)
  templates: set[str] = dataclasses.field(default_factory=set)
  left: list[str] = dataclasses.field(default_factory=list)
  collections: dict[str, str] = dataclasses.field(default_factory=dict)
  makers: list[Maker] = dataclasses.field(default_factory=list)
  factories: dict[tuple[str, Position], Factory | None] = dataclasses.field(default_factory=dict)


def rewrite_project(project: Project, exact: bool = False) -> Rewriting:
  """Rewrites every reached class of every file.

  Args:
    project: facts and sources.
    exact: write what is bitwise equal even where stock NNX is within noise.
  """
  names = {path: names_of(s.text, project.modules[path], path) for path, s in project.sources.items()}
  order = _children_first(project)
  residues: dict[type, set[str]] = {}
  field_residues: dict[tuple[type, str], set[str]] = {}
  rewriting = Rewriting()
  makers = Makers(project)
  for _ in range(6):
    makers.known.clear()
    project.stays.clear()
    before = ({k: set(v) for k, v in residues.items()}, {k: set(v) for k, v in field_residues.items()})
    rewriting = Rewriting()
    again = False
    for info in order:
      known = (names[info.file], rewriting.results, residues, field_residues, exact, rewriting.factories)
      unit = unit_of(makers, project, info, *known)
      try:
        unit, result = rewrite_settled(unit, functools.partial(unit_of, makers, project, info, *known))
        if (name := unbound_name(unit, result)) is not None:
          again |= (told := tell_sizes(info, name, makers.told))
          tell_unbound_name(unit, name, told or info.cls not in project.reached)
      except NotStatic as error:
        if unit.untraced and info.cls not in project.reached:
          project.stays.setdefault(info.cls, reason(error))
          continue
        again |= tell_sizes(info, str(error), makers.told)
        if isinstance(error, CallField) and _keep_at_construction(project, info, error.field, residues):
          continue
        rewriting.findings.append(
          handed_maker(unit, info, str(error))
          or Finding(
            f"{info.file}:{info.node.lineno}",
            f"{info.name}: `{error}` is needed at construction and known only in a call",
            "a value that __init__ can compute",
            "compute it from fields, constants and shapes",
            "error",
            "L2N102",
          )
        )
        rewriting.left.append(f"{info.module}.{info.name}")
        continue
      except MigrateError as error:
        if unit.untraced and info.cls not in project.reached:
          project.stays.setdefault(info.cls, reason(error))
          continue
        kept = [_keep_at_construction(project, info, f, residues) for f in sorted(unit.call_fields)]
        if any(kept):
          continue  # it may be those that `__init__` lacks
        rewriting.findings += error.findings
        rewriting.left.append(f"{info.module}.{info.name}")
        rewriting.findings += unit.findings
        continue
      except Exception as error:  # nobody asked for a class that no example runs: it ends no port
        if not unit.untraced or info.cls in project.reached:
          raise
        logging.getLogger(__name__).debug("%s was not rewritten", info.home, exc_info=True)
        project.stays.setdefault(info.cls, reason(error))
        continue
      rewriting.results[info.cls] = result
      rewriting.findings += unit.findings
      rewriting.collections |= unit.collections
      _share_residues(unit, residues)
    if before == (residues, field_residues) and not again:
      break
  rewriting.findings += [*project.findings, *by_reading(project, [r.info for r in rewriting.results.values()])]
  rewriting.makers = [m for m in makers.known.values() if m is not None and not m.local]
  if order:
    unit = Unit(project, order[0], names[order[0].file], rewriting.results, {}, {}, exact, rewriting.factories)
    rewriting.makers += unreached_makers(unit, makers, rewriting.makers)
  _write_files(project, rewriting, names)
  for lifted in (project.name_of_lifted(type(f.example.module)) for f in project.examples):
    if lifted is not None and lifted[0] in rewriting.keep:
      rewriting.keep[lifted[0]].add(lifted[1])
  return rewriting


def _keep_at_construction(project: Project, info: ClassInfo, field: str, residues: dict[type, set[str]]) -> bool:
  """A field that `__init__` needs is no call argument, whatever the makers know; False where it is settled already."""
  classes = {b for b in info.cls.__mro__ if b in project.classes}
  known = {(c, field) for c in classes} <= project.constructed
  project.constructed |= {(c, field) for c in classes}
  for cls in classes:
    residues.get(cls, set()).discard(field)
  return not known


def _share_residues(unit: Unit, residues: dict[type, set[str]]) -> None:
  """A layer's field that only the call knows becomes a call argument of its class."""
  for site in [*unit.sites.values(), *unit.inner_sites]:
    if site.record is None and site.made:
      for cls in {type(m) for _, _, m in site.made}:
        for owner, name in ((o, n) for n in site.residue for o in unit.project.owners_of(cls, n)):
          residues.setdefault(owner, set()).add(name)


def _children_first(project: Project) -> list[ClassInfo]:
  """Classes ordered so that a class follows its bases and the classes it makes."""
  needs: dict[type, list[type]] = {cls: [b.cls for b in info.bases] for cls, info in project.classes.items()}
  for fact in project.facts:
    for made in fact.created.values():
      for activation, _, module in made:
        owner = type(activation.module) if activation.module is not None else None
        owner, made_class = project.plain(owner) if owner else None, project.plain(type(module))
        for cls in [owner, *_writers(project, owner, activation)] if owner in needs and made_class in needs else ():
          if made_class is not cls and cls in needs:
            needs[cls].append(made_class)
  made = {c for classes in needs.values() for c in classes}
  for owner, classes in project.named.items():  # what no example makes comes before what speaks of it
    needs[owner] += [c for c in classes if c is not owner and c not in made]
  done: list[type] = []
  open_: set[type] = set()

  def visit(cls: type) -> None:
    if cls in done or cls in open_:
      return
    open_.add(cls)
    for other in needs[cls]:
      visit(other)
    done.append(cls)

  for cls in needs:
    visit(cls)
  return [project.classes[c] for c in done]


def _writers(project: Project, owner: type, activation: Activation) -> list[type]:
  """The base whose body has the method that ran, and the class that called a lambda."""
  bases, caller = [b for b in owner.__mro__[1:] if b in project.classes], activation.parent
  runs = [activation] if caller is None or caller.module is not activation.module else [activation, caller]
  places = [(r.file, r.qualname) for r in runs]
  found = [b for b in bases for f, q in places if project.classes[b].file == f and q.startswith(f"{b.__qualname__}.")]
  while activation.qualname.rpartition(".")[2] == "<lambda>" and activation.parent is not None:
    activation = activation.parent
    found += [project.plain(type(activation.module))] if activation.module is not None else []
  return found


def _write_files(project: Project, rewriting: Rewriting, names: dict[str, Names]) -> None:
  for path, source in project.sources.items():
    module = project.modules[path]
    mine = _one_a_node([r for r in rewriting.results.values() if r.info.file == path], rewriting)
    factories: list[Any] = [
      f for f in rewriting.factories.values() if f is not None and f.kind == "function" and f.source is source
    ]
    factories += [m for m in rewriting.makers if m.source is source and not m.inside]
    functions = _functions(source, rewriting)
    giving = giving_functions(project, source, names[path])
    if not mine and not factories and not functions and not giving:
      continue
    top, added = _top_level(project, source, names[path], mine, functions, rewriting)
    top |= {f.node: f.text for f in factories if not any(n in top for n in source.enclosing(f.node))}
    text = with_instances(source, mine, _replace(source, mine, top))
    parts: list[Any] = [*mine, *factories, *functions]
    added |= set().union(*(p.imports for p in parts))
    added = {s for s in added if _binds(s) & used_names(ast.parse(text), text) and f" {module} import" not in s}
    rewriting.templates |= set().union(*(p.templates for p in parts))
    rewriting.findings += [f for m in rewriting.makers if m.source is source for f in m.findings]
    rewriting.imports[module] = added
    text = _without_replaced(text, added)
    handed_on = {n for n, f in names[path].imported.items() if linen_behind(f, module).startswith("flax.linen.")}
    rewriting.sources[module] = tidy_imports(
      text, add=sorted(added), remove_if_unused=_linen_names(source) | handed_on, own=module.partition(".")[0]
    )
    rewriting.keep[module] = {r.info.name.partition(".")[0] for r in mine} | {f.name for f in functions}
    reached = [f for f in factories if not isinstance(f, Maker) or f.reached]
    for factory in reached:
      top_node = at_the_top(source, factory.node)
      if not isinstance(top_node, ast.FunctionDef) or top_node is factory.node or is_handed_out(source, factory.node):
        rewriting.keep[module] |= bound_by(top_node)
    rewriting.keep[module] |= giving


def _one_a_node(results: list[ClassResult], rewriting: Rewriting) -> list[ClassResult]:
  """The classes of a file; a function that was called several times has made several of one text."""
  found: dict[ast.ClassDef, ClassResult] = {}
  for result in results:
    info = result.info
    if found.setdefault(info.node, result).text != result.text:
      rewriting.findings.append(Finding(f"{info.file}:{info.node.lineno}", f"{info.name}: its function made it several times, and NNX needs a text for each",
                                        "one text that fits all", "make the classes at the top of the file", "error", "L2N106"))  # fmt: skip
  return list(found.values())


def _functions(source: Source, rewriting: Rewriting) -> list[FunctionResult]:
  """Functions of a file that make layers for the classes that call them; all classes must want the same text."""
  found: dict[str, FunctionResult] = {}
  for result in rewriting.results.values():
    for function in result.functions:
      if function.file != source.path:
        continue
      first = found.setdefault(function.name, function)
      if first.text != function.text:
        where = f"{source.path}:{function.name}"
        rewriting.findings.append(Finding(where, f"{function.name} makes other layers for {result.info.name} than for another class",
                                          "one function that fits all its callers", "give each class a function of its own", "error", "L2N106"))  # fmt: skip
      else:
        first.imports |= function.imports
        first.templates |= function.templates
  return list(found.values())


def _binds(statement: str) -> set[str]:
  """Names that an import statement binds."""
  nodes = [n for n in ast.parse(statement).body if isinstance(n, ast.Import | ast.ImportFrom)]
  return {(a.asname or a.name).partition(".")[0] for n in nodes for a in n.names}


def _without_replaced(text: str, added: set[str]) -> str:
  """Drops names that Linen was imported for and that another import gives now."""
  bound = {
    a.asname or a.name for s in added for n in ast.parse(s).body if isinstance(n, ast.ImportFrom) for a in n.names
  }
  tree, data = ast.parse(text), text.encode()
  at = Positions(data)
  edits = []
  for node in tree.body:
    if isinstance(node, ast.ImportFrom) and node.module and (node.module + ".").startswith("flax.linen."):
      dead = [a for a in node.names if (a.asname or a.name) in bound]
      if len(dead) == len(node.names):
        edits.append(remove_statement(node, data, at))
      elif dead:
        edits += drop_aliases(node, dead, data, at)
  return apply_edits(data, edits).decode() if edits else text


def _top_level(
  project: Project,
  source: Source,
  names: Names,
  mine: Sequence[ClassResult],
  functions: Sequence[FunctionResult],
  rewriting: Rewriting,
) -> tuple[dict[ast.stmt, str], set[str]]:
  """Functions and constants at the top of a file that speak of Linen, without it, and the imports that they need."""
  info = mine[0].info if mine else next(iter(project.classes.values()))
  unit = Unit(project, info, names, rewriting.results, {}, {}, False, rewriting.factories)
  unit.source, unit.own_source, unit.self_name = source, source, ""
  found: dict[ast.stmt, str] = {}
  ported = {f.name: f.text for f in functions}
  for node in source.tree.body:
    unit.env, unit.parameters, unit.self_name = {}, set(), ""
    if isinstance(node, ast.Assign) and only_named_axes(source, names, node):
      found[node] = ""
      continue
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
      text = unit.compose(node, table_writer(unit, node, rewriting.makers))
      target = node.targets[0] if isinstance(node, ast.Assign) else node.target
      if isinstance(target, ast.Name) and text.replace(" ", "") == f"{target.id}={target.id}":
        text = ""
    elif isinstance(node, ast.FunctionDef) and node.name in ported:
      found[node] = ported[node.name]
      continue
    elif isinstance(node, ast.FunctionDef) and (inside := [r for r in mine if source.parents.get(r.info.node) is node]):
      unit.parameters = _names_of(node)
      found[node] = around_classes(unit, node, inside)
      continue
    elif isinstance(node, ast.FunctionDef) and (
      makers := [m for m in rewriting.makers if m.source is source and node in source.enclosing(m.node)]
    ):
      unit.parameters = _names_of(node)
      found[node] = around_makers(unit, node, makers)
      continue
    elif isinstance(node, ast.FunctionDef):
      if any(f is not None and f.node is node for f in [*rewriting.factories.values(), *rewriting.makers]):
        continue
      calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
      if any(unit.untraced_class(n) or unit.untraced_layer(n) is not None for n in calls):
        continue  # it makes models where no example comes
      if unit.makes_layers(node, source):
        if node.name in {n.id for r in mine for n in ast.walk(r.info.node) if isinstance(n, ast.Name)}:
          rewriting.findings.append(Finding(f"{source.path}:{node.lineno}", f"left as it was: {node.name}, a function that makes layers",
                                            "layers made by a class", "make it a Module, or a method", "error", "L2N106"))  # fmt: skip
        continue
      unit.parameters = _names_of(node)
      try:
        text = unit.plain_function(node)
      except (NotStatic, MigrateError):
        continue  # it makes layers: what calls it is told
    else:
      continue
    if text.strip() != source.code(node).strip() or not text:
      found[node] = text
  rewriting.templates |= unit.templates
  return found, unit.imports


def _names_of(node: ast.FunctionDef) -> set[str]:
  """Names that a function binds."""
  own = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
  return own | {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}


def _replace(source: Source, results: Sequence[ClassResult], top: dict[ast.stmt, str]) -> str:
  data = source.data
  nodes = {r.info.node for r in results}
  outer = [r for r in results if not any(n in nodes or n in top for n in source.enclosing(r.info.node))]
  texts: list[tuple[ast.stmt, str]] = [(r.info.node, r.text) for r in outer] + list(top.items())
  for node, text in sorted(texts, key=lambda t: -t[0].lineno):
    start = source.offset(source.first_line(node), 0)
    last = node.end_lineno or node.lineno
    stop = source.offset(last, 0) + len(source.line(last).encode())
    if text and not text.endswith("\n"):
      end = source.span(node)[1]
      text += source.between(end, stop)
    data = data[:start] + text.encode() + data[stop:]
  return data.decode()


def _linen_names(source: Source) -> set[str]:
  """Names that imports of Linen bind in a file."""
  found: set[str] = set()
  for node in ast.walk(source.tree):
    if isinstance(node, ast.Import):
      for alias in node.names:
        name = (alias.asname or alias.name).partition(".")[0]
        if alias.name.startswith("flax") or (alias.name == "functools" and f"{name}." in source.text):
          found.add(name)
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
      for alias in node.names:
        full = f"{node.module}.{alias.name}"
        if (
          full == "flax.linen"
          or full.startswith("flax.linen.")
          or node.module == "functools"
          or node.module == "typing"
        ):
          found.add(alias.asname or alias.name)
  return found
