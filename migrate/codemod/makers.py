"""Functions that make a layer and return it uncalled: they stay, with the sizes and `rngs` as further arguments.

A call of such a function is a construction like any other: what the layer needs is looked for where the function is
called. Flags of the layer that its call can give (`use_running_average`, `deterministic`) go to the call.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from flax import linen as nn

from migrate.codemod.given_lambdas import captured, holder
from migrate.codemod.handed_values import handed_function
from migrate.codemod.maker_closures import is_closure, names_around
from migrate.codemod.maker_nodes import (
  Definition,
  find_definition,
  loads,
  of_plain_class,
  only_names,
  receiver_of,
  returned_layers,
)
from migrate.codemod.project import ClassInfo, Project
from migrate.codemod.scope import Local
from migrate.codemod.setup_lists import fill_chains, fill_sites
from migrate.codemod.setups import setup_block
from migrate.codemod.site import InstanceKey, Need, Site, SizeArg, parameters_of
from migrate.codemod.source import Source, key
from migrate.codemod.star_imports import names_of
from migrate.codemod.static import NotStatic
from migrate.codemod.unit import Unit
from migrate.core.report import MigrateError
from migrate.trace.facts import Activation
from migrate.trace.recorder import origin_of


@dataclasses.dataclass(eq=False)
class Maker:
  """A function that returns a layer it has made.

  Attributes:
    node: its definition.
    source: its file.
    parameters: of Linen's function, in order.
    gone: parameters that only named the layer.
    moved: layer field -> expression over the parameters, which the call of the layer gives now.
    needs: sizes, with a value for every layer that was returned.
    modules: ids of the layers that were returned, as the needs' values are ordered.
    text: the new definition.
    local: whether a method defines it.
    reached: whether an example calls it.
    inside: whether a class has it as the value of a field: the class's text has it too.
  """

  node: Definition
  source: Source
  parameters: list[str]
  gone: set[str] = dataclasses.field(default_factory=set)
  moved: dict[str, ast.expr] = dataclasses.field(default_factory=dict)
  needs: list[Need] = dataclasses.field(default_factory=list)
  modules: dict[int, int] = dataclasses.field(default_factory=dict)
  text: str = ""
  local: bool = False
  reached: bool = True
  inside: bool = False
  imports: set[str] = dataclasses.field(default_factory=set)
  templates: set[str] = dataclasses.field(default_factory=set)
  findings: list[Any] = dataclasses.field(default_factory=list)

  @property
  def name(self) -> str:
    """The function's name; empty for a lambda."""
    return self.node.name if isinstance(self.node, ast.FunctionDef) else ""

  def needs_of(self, made: list[tuple[Activation, int, Any]]) -> list[Need]:
    """The sizes of some of the layers."""
    found = []
    for need in self.needs:
      values = [need.values[self.modules[id(m)]] if id(m) in self.modules else None for _, _, m in made]
      found.append(dataclasses.replace(need, values=values))
    return found


class Makers:
  """Every such function of a project, read when it is first met."""

  def __init__(self, project: Project):
    self.project = project
    self.known: dict[tuple[str, str, int], Maker | None] = {}
    self.told: dict[type, set[str]] = {}  # class -> locals that become arguments
    self._busy: set[tuple[str, str, int]] = set()

  def running(self, unit: Unit, node: ast.AST) -> list[tuple[Activation, Activation, Any]]:
    """(caller, the function's activation, the layer) for every time that a call gave a layer made inside it."""
    found = []
    for event in unit.events(node):
      if not isinstance(event.value, nn.Module):
        return []
      origin = origin_of(event.value)
      inner = origin.activation if origin is not None else None
      while inner is not None and inner.parent is not event.activation:
        inner = inner.parent
      if inner is None or inner.call_position != key(node) or inner.file not in self.project.sources:
        return []
      found.append((event.activation, inner, event.value))
    return found

  def defined(self, unit: Unit, node: Definition) -> Maker | None:
    """The function that a statement of a method defines, if it makes and returns layers."""
    name = node.name if isinstance(node, ast.FunctionDef) else "<lambda>"
    for (file, qualname), runs in self.project.activations.items():
      if file == unit.source.path and qualname.endswith(f".<locals>.{name}"):
        for line in {r.line for r in runs}:
          if find_definition(unit.source, name, line) is node:
            return self.at(unit, file, qualname, line)
    return None

  def of(self, unit: Unit, node: ast.AST) -> Maker | None:
    """The function behind a call, if all that it returned here are layers that it made."""
    if not isinstance(node, ast.Call):
      return None
    runs = self.running(unit, node)
    if not runs or len({(r.file, r.qualname, r.line) for _, r, _ in runs}) != 1:
      return None
    run = runs[0][1]
    where = (run.file, run.qualname, run.line)
    source = self.project.sources[run.file]
    local = "<locals>" in run.qualname and not is_closure(source, *where[1:])
    if local and (unit.in_setup or not run.qualname.startswith(f"{unit.info.name}.")):
      if holder(self.project, source, find_definition(source, where[1].rpartition(".")[2], run.line)) is None:
        return None
    return self.at(unit, *where)

  def at(self, unit: Unit, *where: Any) -> Maker | None:
    """The function of that file, name and line; None while it is being read."""
    if where in self._busy:
      return None
    if where not in self.known:
      self._busy.add(where)
      try:
        self.known[where] = self._read(unit, *where)
      finally:
        self._busy.discard(where)
    return self.known[where]

  def _read(self, unit: Unit, file: str, qualname: str, line: int) -> Maker | None:
    source = self.project.sources[file]
    node = find_definition(source, qualname.rpartition(".")[2], line)
    if node is None:
      return None
    runs = [a for a in self.project.activations.get((file, qualname), ()) if a.line == line]
    returned = returned_layers(self.project, source, node, runs) if runs else {}
    if returned is None:
      return None
    closure = is_closure(source, qualname, line)
    given = holder(self.project, source, node)
    local = "<locals>" in qualname and not closure and given is None
    plain = not local and not closure and "." in qualname and given is None
    if plain and not of_plain_class(self.project, source, node):
      return None  # a module's method: `Inlining` handles it
    inner = MakerUnit(unit, source, node, runs, returned, local)
    inner.receiver = receiver_of(node) if plain else ""
    if given is not None:
      inner.self_name, inner.readable = "self", {f.name for f in dataclasses.fields(given.cls)}
      inner.env |= {n: Local("static", None) for n in captured(source, node)}
    if closure and given is None:
      inner.env |= {n: Local("static", None) for n in names_around(source, node)}
    try:
      found = inner.maker()
    except (NotStatic, MigrateError):
      return None
    found.inside = given is not None
    return found


class _Nothing(nn.Module):
  """Stands for the class of a function outside every class."""


def unreached_makers(unit: Unit, makers: Makers, known: Sequence[Maker]) -> list[Maker]:
  """The other methods of plain classes that make layers: no example comes there, so each size is an argument."""
  found = []
  places = {(m.source.path, key(m.node)) for m in known}
  for source in unit.project.sources.values():
    if not any(i.source is source for i in unit.project.classes.values()):
      continue
    unit.source, unit.names = source, unit.names_of(source)
    owners = [c for c in source.tree.body if isinstance(c, ast.ClassDef) and not _applies(c)]
    for node in [n for c in owners for n in c.body if isinstance(n, ast.FunctionDef)]:
      calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
      if not any(isinstance(n, ast.Return) and n.value is not None for n in ast.walk(node)):
        continue
      if (
        (source.path, key(node)) not in places
        and of_plain_class(unit.project, source, node)
        and any(unit.untraced_class(n) or unit.untraced_layer(n) is not None for n in calls)
      ):
        inner = MakerUnit(unit, source, node, [], {}, local=False)
        inner.makers, inner.receiver = makers, receiver_of(node)
        with contextlib.suppress(NotStatic, MigrateError):
          found.append(inner.maker())
  return found


def _applies(owner: ast.ClassDef) -> bool:
  """Whether a class runs models as programs do: what it makes is made there."""
  called = {n.func.attr for n in ast.walk(owner) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)}
  return not called.isdisjoint({"init", "apply", "init_with_output", "tabulate", "lazy_init"})


def outside(source: Source, module: str, node: ast.AST | None = None) -> ClassInfo:
  """What a `Unit` needs where there is no class: its first statement tells the indentation of the file."""
  inside = [n for n in ast.walk(source.tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
  return ClassInfo(_Nothing, node or inside[0], source, module, [], {"setup": node} if node is not None else {})  # pyright: ignore


class MakerUnit(Unit):
  """The rewriting of one function: everything in it runs at construction."""

  def __init__(
    self, outer: Unit, source: Source, node: Definition, runs: list[Activation], returned: dict[int, Any], local: bool
  ):
    project = outer.project
    if local:
      info, names = outer.info, outer.names
    else:
      module = project.modules[source.path]
      info = outside(source, module, node)
      names = names_of(source.text, module, source.path)
    super().__init__(project, info, names, outer.results, {}, {}, outer.exact, outer.factories)
    self.makers = outer.makers
    self.outer, self.definition, self.runs, self.made_by_run, self.local = outer, node, runs, returned, local
    self.in_setup = True
    self.self_name = outer.self_name if local else ""
    self.readable = set(outer.readable) if local else set()
    if local:
      self.env = {n: dataclasses.replace(v) for n, v in outer.env.items()}
      self.call_fields = outer.call_fields
      self.parameters = set(outer.parameters)
      self.bound_names = outer.bound_names
    self.receiver = ""  # of a method
    self.moved: dict[str, ast.expr] = {}
    self.details: dict[str, Need] = {}

  def owner_key(self, activation: Activation) -> InstanceKey:
    """The run of the function."""
    current: Activation | None = activation
    while current is not None:
      if id(current) in self.made_by_run:
        return (id(current), ())
      current = current.parent
    return (id(activation), ())

  def available(self, text: str, bound: frozenset[str] = frozenset()) -> bool:
    """Sizes that another run of the function was asked for are not known here."""
    return super().available(text, bound | set(self.hoists))

  def function_handed_over(self, node: ast.Name) -> str | None:
    """A function inside a method reads the method's."""
    return handed_function(self.outer, self, node) if self.local else None

  def _guess(self, site: Site) -> str | None:
    """Callers give what no example tells."""
    return None if not self.runs else super()._guess(site)

  def readable_at(self, site: Site, text: str) -> bool:
    """What comes from outside the function is not read: its callers give it."""
    return "SIZE__" not in text and super().readable_at(site, text)

  def always_empty(self, node: ast.AST) -> bool:
    """As for a class; `*args` of a function to which nobody gave any is, in branches that no example takes as well."""
    own = self.definition.args.vararg
    return (own is not None and isinstance(node, ast.Name) and node.id == own.arg) or super().always_empty(node)

  def prepare(self, site: Site, bound: frozenset[str] = frozenset()) -> None:
    """As for a class; a flag that the layer's call can give leaves the constructor."""
    super().prepare(site, bound)
    if site.residue:
      raise NotStatic(", ".join(site.residue))
    if site.record is None or not all(id(m) in {id(v) for v in self.made_by_run.values()} for _, _, m in site.made):
      return
    own = {a.arg for a in ast.walk(self.definition.args) if isinstance(a, ast.arg)}
    for field, value in self.given_arguments(site):
      names = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
      if field in site.record.call_fields and names & own and field in site.arguments:
        if ast.dump(self.moved.setdefault(field, value)) != ast.dump(value):
          raise NotStatic(field)  # it differs between the layers of this function
        del site.arguments[field]

  def hoist(self, site: Site, what: str, values: list[Any], wished: str = "") -> str:
    """Makes an argument of the function; layers that are never made in one run share it."""
    by_run = {self.owner_key(a): v for (a, _, _), v in zip(site.made, values, strict=True)}
    need = next((n for n in site.needs if n.parameter == what), None)
    single = need is not None and need.axis == 1
    for name, size in self.hoists.items():
      same = name == what or (single and self.details[name].axis == 1)
      if same and all(size.values.get(k, v) in (v, None) for k, v in by_run.items()):
        size.values.update(by_run)
        return name
    name, i = what, 1
    while name in self.hoists or name in self.env:
      i += 1
      name = f"{what}_{i}"
    self.hoists[name] = SizeArg(name, None, 0, "", by_run)
    self.details[name] = need or Need(what, [])
    return name

  def maker(self) -> Maker:
    """Reads the function. Raises NotStatic where something in it is known only in a call."""
    node, source = self.definition, self.source
    arguments = node.args
    ordered = [*arguments.posonlyargs, *arguments.args]
    names = [a.arg for a in [*ordered, *arguments.kwonlyargs]]
    if arguments.vararg is not None and any(r.arguments.get(arguments.vararg.arg) for r in self.runs):
      raise NotStatic("*args")
    for name in [*names, *([arguments.kwarg.arg] if arguments.kwarg else [])]:
      self.env[name] = Local("static", None)
    if isinstance(node, ast.Lambda):
      body = fill_sites(self, self.static(node.body))
    else:
      body = "\n".join(fill_chains(self, setup_block(self, node.body).split("\n")))
    body = re.sub(r"\n{3,}", "\n\n", body)
    gone = {n for n in names if n not in loads(body, node) and n != self.receiver} & (
      {"name", *only_names(source, node, names), *_moved_only(self, names)}
    )
    parameters = [n for n in names if n != self.receiver]
    found = Maker(node, source, parameters, gone, dict(self.moved), local=self.local, reached=bool(self.runs))
    found.modules = {id(m): i for i, m in enumerate(self.made_by_run.values())}
    for name, size in self.hoists.items():
      detail = self.details[name]
      values = [size.values.get((run, ())) for run in self.made_by_run]
      layer = next(iter(self.made_by_run.values()), None)
      first = next(iter(parameters_of(type(layer), "__call__")), None) if layer is not None else None
      found.needs.append(Need(name, values, (detail.call_parameter or first) if detail.axis else None, detail.axis))
    found.text = self._definition(body, gone, found.needs)
    found.imports, found.templates, found.findings = self.imports, self.templates, self.findings
    return found

  def _definition(self, body: str, gone: set[str], needs: list[Need]) -> str:
    node, source = self.definition, self.source
    sizes = [n.parameter for n in needs]
    plain = [*node.args.posonlyargs, *node.args.args]
    typed = any(a.annotation is not None for a in plain)
    defaults = dict(zip([a.arg for a in reversed(plain)], reversed(node.args.defaults), strict=False))
    rows = [self._row(a, None) for a in plain if a.arg == self.receiver]
    rows += [f"{n}: int" if typed else n for n in sizes]
    rows += [self._row(a, defaults.get(a.arg)) for a in plain if a.arg not in {self.receiver, *gone}]
    only = [
      self._row(a, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if a.arg not in gone
    ]
    if not self.local:
      only.append("rngs: nnx.Rngs" if typed else "rngs")
      if typed:
        self.need_import("from flax import nnx")
    if only:
      rows += ["*", *only]
    if node.args.kwarg is not None:
      rows.append(f"**{source.code(node.args.kwarg)}")
    if isinstance(node, ast.Lambda):
      return f"lambda {', '.join(rows)}: {body}" if rows else f"lambda: {body}"
    indent = source.indent(node)
    first = node.body[0]
    inline = source.shares_line(first)
    returns = f" -> {self._annotation(node.returns)}" if node.returns is not None else ""
    head = "".join(f"{indent}@{self.text(d)}\n" for d in node.decorator_list)
    line = f"{indent}def {node.name}({', '.join(rows)}){returns}:"
    if len(line) > 100:
      inner = indent + "    "
      line = f"{indent}def {node.name}(\n" + "".join(f"{inner}{r},\n" for r in rows) + f"{indent}){returns}:"
    if inline:
      return f"{head}{line}\n{indent}{self.step}{body.strip()}\n"
    return f"{head}{line}\n{body}"

  def _annotation(self, node: ast.expr) -> str:
    saved, self.env, self.parameters, self.in_setup = self.env, {}, set(), False
    try:
      return self.text(node)
    finally:
      self.env, self.in_setup = saved, True

  def _row(self, argument: ast.arg, default: ast.expr | None) -> str:
    text = argument.arg
    if argument.annotation is not None:
      text += f": {self._annotation(argument.annotation)}"
    if default is not None:
      text += f" = {self._annotation(default)}" if argument.annotation is not None else f"={self._annotation(default)}"
    return text


def _moved_only(unit: MakerUnit, names: list[str]) -> set[str]:
  return {n.id for value in unit.moved.values() for n in ast.walk(value) if isinstance(n, ast.Name)} & set(names)
