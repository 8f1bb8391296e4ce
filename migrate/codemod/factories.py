"""Functions, methods and closures of `setup` that only make layers and return them.

They stay what they are: each takes the sizes that its layers need and `rngs`, and what calls it is a construction like
any other. Those that also call their layers are inlined instead (`inline`).
"""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.imports import Names
from migrate.codemod.project import holds_modules
from migrate.codemod.site import Need, Site, follow_name
from migrate.codemod.source import Source, apart, dotted, key
from migrate.codemod.star_imports import names_of
from migrate.codemod.static import NotStatic
from migrate.core.report import MigrateError
from migrate.trace.facts import Activation, ArraySpec

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_ALLOWED = ("nowrap", "staticmethod")
_SERVICES = ("param", "variable", "make_rng", "sow", "perturb", "put_variable", "get_variable", "has_variable")


@dataclasses.dataclass
class FactorySize:
  """An argument that a factory has and Linen's had not: what layers made at `site` need.

  Attributes:
    name: the argument.
    site: in the factory.
    need: of the site.
    values: for every module made there.
    several: whether one run needs different values: the argument is a sequence, taken one by one.
  """

  name: str
  site: Site
  need: Need | None
  values: list[Any]
  several: bool = False

  @property
  def optional(self) -> bool:
    """Whether no run needs it: its layer is made where no example comes."""
    return not self.site.made


@dataclasses.dataclass(eq=False)
class Factory:
  """A function that makes layers and returns them.

  Attributes:
    kind: `method`, `function` or `closure` (of `setup`).
    node: its definition.
    source: its file.
    text: its new source, decorators included.
    sizes: its new arguments.
    sites: what it makes.
    imports: that the text needs.
    templates: that the text needs.
    others: methods of other classes that the same call comes to.
  """

  kind: str
  node: ast.FunctionDef
  source: Source
  text: str = ""
  sizes: list[FactorySize] = dataclasses.field(default_factory=list)
  sites: list[Site] = dataclasses.field(default_factory=list)
  imports: set[str] = dataclasses.field(default_factory=set)
  templates: set[str] = dataclasses.field(default_factory=set)
  others: list[Factory] = dataclasses.field(default_factory=list)

  @property
  def parameters(self) -> list[str]:
    """Names of the parameters, without `self`."""
    names = [a.arg for a in [*self.node.args.posonlyargs, *self.node.args.args]]
    return names[1:] if self.takes_self else names

  @property
  def takes_self(self) -> bool:
    """Whether the first parameter is the module."""
    return self.kind == "method" and not any("staticmethod" in ast.unparse(d) for d in self.node.decorator_list)


class Factories:
  """Handling of factories, mixed into `Unit`."""

  read_factory: Callable[[Any, Factory], None] | None = None  # writes its text: `factory_text.read_factory`
  subclass_factory: Callable[[Any, ast.Call], Factory | None] | None = None

  def names_of(self: Unit, source: Source) -> Names:
    """Module-level names of another file."""
    return names_of(source.text, self.project.modules[source.path], source.path)

  def factory_of(self: Unit, node: ast.AST) -> Factory | None:
    """The factory that a call calls, if it calls one."""
    if not isinstance(node, ast.Call) or self.no_sites or self.maker_of(node) is not None:
      return None
    if any((self.source.path, key(node)) in f.created for f in self.project.facts):
      return None
    if not all(e.value is None or holds_modules(e.value) for e in self.events(node)):
      return None
    if self.subclass_factory is not None and (found := self.subclass_factory(self, node)) is not None:
      return found
    for activation in self.project.called_from.get((self.source.path, key(node)), ()):
      source = self.project.sources.get(activation.file)
      definition = source.function(activation.line, activation.qualname) if source is not None else None
      if source is not None and definition is not None:
        return self.factory_at(definition, source)
    return self._untraced_factory(node) if not self.events(node) else None

  def _untraced_factory(self: Unit, node: ast.Call) -> Factory | None:
    """The factory that a method or a function is, called where no example comes: other calls of it tell."""
    own, _, short = (dotted(node.func) or "").partition(".")
    if own and own == self.self_name:
      definition = self.info.methods.get(short)
      known = definition is not None and not self.is_compact(definition) and self.info.source is self.source
      return self.factory_at(definition, self.source) if known and definition is not None else None
    setup = self.info.methods.get("setup") if self.in_setup and isinstance(node.func, ast.Name) else None
    for inner in setup.body if setup is not None else ():
      if isinstance(inner, ast.FunctionDef) and inner.name == dotted(node.func):
        return self.factory_at(inner, self.source)
    full = self.resolve(node.func)
    function = inspect.unwrap(held) if full is not None and inspect.isfunction(held := follow_name(full)) else None
    source = self.project.sources.get(function.__code__.co_filename) if function is not None else None
    if source is None or function is None:
      return None
    definition = source.function(function.__code__.co_firstlineno, function.__code__.co_qualname)
    return self.factory_at(definition, source) if definition is not None else None

  def given_by(self: Unit, node: ast.Call) -> list[Any]:
    """What a call of a factory gives; where no example comes to it, what other calls of the factory give."""
    events, factory = self.events(node), self.factory_of(node)
    if events or factory is None:
      return [e.value for e in events]
    returns = [n.value for n in _own(factory.node) if isinstance(n, ast.Return) and n.value is not None]
    return [v for run in _runs_of(self.project, factory) for r in returns for v in run.events.get(key(r), ())]

  def factory_at(self: Unit, definition: ast.FunctionDef, source: Source) -> Factory | None:
    """The factory that a definition is, or None."""
    place = (source.path, key(definition))
    if place in self.factories:
      return self.factories[place]
    self.factories[place] = None  # while it is read, and if it is none
    kind = self._factory_kind(definition, source)
    if kind is None:
      return None
    factory = Factory(kind, definition, source)
    if self.read_factory is None or not _is_factory(self.project, factory):
      return None
    state = self.snapshot()
    try:
      self.read_factory(self, factory)
    except (NotStatic, MigrateError):
      self.restore(state)
      return None
    self.factories[place] = factory
    return factory

  def _factory_kind(self: Unit, definition: ast.FunctionDef, source: Source) -> str | None:
    if any(ast.unparse(d).rpartition(".")[2] not in _ALLOWED for d in definition.decorator_list):
      return None
    parent = source.parents.get(definition)
    if parent is source.tree:
      return "function"
    if parent is self.info.node and source is self.info.source:
      return "method"
    if parent is self.info.methods.get("setup") and self.in_setup:
      return "closure"
    return None

  def factory_size(self: Unit, site: Site, what: str, values: list[Any]) -> str:
    """An argument of the factory that is being read, for what only its callers know."""
    factory = self.in_factory
    assert factory is not None
    need = next((n for n in site.needs if what.startswith(n.parameter)), None)
    several = any(len(set(map(repr, _values_in(site, values, run)))) > 1 for run in _runs_of(self.project, factory))
    other = _on_another_way(self.source, site, need, factory)
    if other is not None and not site.made:
      return f"next({other.name})" if other.several else other.name
    if other is not None and other.optional and not several:
      other.site, other.need, other.values = site, need, values
      return other.name
    taken = {a.arg for a in ast.walk(factory.node) if isinstance(a, ast.arg)}
    taken |= {n.id for n in ast.walk(factory.node) if isinstance(n, ast.Name)} | {s.name for s in factory.sizes}
    name, i = what, 1
    while name in taken:
      i += 1
      name = f"{self.suggest(site.node)}_{what}" + (f"_{i - 1}" if i > 2 else "")
    factory.sizes.append(FactorySize(name, site, need, values, several))
    return f"next({name})" if several else name

  def factory_site(self: Unit, node: ast.Call, attr: str, factory: Factory) -> Site:
    """A call of a factory as a construction."""
    runs = list(self._runs(node, factory))
    made = [(a, i, _first_module(v)) for i, (a, v, _) in enumerate(runs)]
    alone = len(factory.sites) == 1 and not factory.others
    direct = factory.sites[0] if alone and all(isinstance(v, nn.Module) for _, v, _ in runs) else None
    if direct is not None and not all(any(m is v for _, _, m in direct.made) for _, v, _ in runs):
      direct = None
    record = direct.record if direct is not None else None
    site = Site(attr, node, made, record, factory=factory, home=(self.source, self.names))
    site.names = {n for n, v in self.env.items() if v.kind == "static"}
    for size in factory.sizes:
      same = [size, *(s for f in factory.others for s in f.sizes if s.name == size.name)]
      found = [[v for s in same for v in _values_in(s.site, s.values, inner)] for _, _, inner in runs]
      values = [tuple(f) if size.several else next(iter(f), None) for f in found]
      if values and all(v is None for v in values):
        site.texts[size.name] = "None"  # nothing is made here
      told = size.need if direct is not None else None
      site.needs.append(
        Need(size.name, values, told.call_parameter, told.axis, told.method) if told else Need(size.name, values)
      )
    return site

  def prepare_factory(self: Unit, site: Site, bound: frozenset[str]) -> None:
    """Renders the arguments of a factory's call."""
    factory = site.factory
    given: dict[str, str] = {}
    own = {a.arg for a in ast.walk(factory.node.args) if isinstance(a, ast.arg)}
    for i, argument in enumerate([*site.node.args, *site.node.keywords]):
      if isinstance(argument, ast.keyword) and argument.arg == "name" and "name" not in own:
        continue  # it went to a Linen constructor with the other keywords
      value = argument.value if isinstance(argument, ast.keyword | ast.Starred) else argument
      text = self.static(value, bound)
      if isinstance(argument, ast.keyword):
        site.given.append(f"{argument.arg}={text}" if argument.arg else f"**{text}")
        if argument.arg:
          given[argument.arg] = text
      else:
        site.given.append(f"*{text}" if isinstance(argument, ast.Starred) else text)
        if i < len(factory.parameters):
          given[factory.parameters[i]] = text
    if site.record is None:
      return
    known = set(given)
    for field, text in factory.sites[0].arguments.items():
      names = {n.id for n in ast.walk(ast.parse(text.strip(), mode="eval")) if isinstance(n, ast.Name)}
      if names <= known | {"self"}:
        site.arguments[field] = re.sub(r"\b\w+\b", lambda m: given.get(m.group(0), m.group(0)), text)

  def write_factory(self: Unit, site: Site) -> list[str]:
    """The arguments of a factory's call, sizes and `rngs` included."""
    free = {s.name for s in site.factory.sizes if s.optional} if site.factory is not None else set()
    return [
      *site.given,
      *[
        f"{n.parameter}={t}" for n in site.needs if (t := site.texts[n.parameter]) != "None" or n.parameter not in free
      ],
      f"rngs={self.rngs_argument}",
    ]

  def _runs(self: Unit, node: ast.Call, factory: Factory) -> Iterator[tuple[Activation, Any, Activation]]:
    """(caller, value, run of the factory) of every call."""
    inner = self.project.called_from.get((self.source.path, key(node)), [])
    inner = [a for a in inner for f in (factory, *factory.others) if f.source.function(a.line, a.qualname) is f.node]
    by_caller: dict[int, list[Activation]] = {}
    for activation in inner:
      by_caller.setdefault(id(activation.parent), []).append(activation)
    for event in self.events(node):
      runs = by_caller.get(id(event.activation), [])
      if not runs:
        raise NotStatic(f"a run of {factory.node.name} that the trace did not see")
      yield event.activation, event.value, runs.pop(0)


def _on_another_way(source: Source, site: Site, need: Need | None, factory: Factory) -> FactorySize | None:
  """The argument for what a layer on another way of the same condition is given: only one of the two is ever made."""
  for size in factory.sizes if need is not None and need.axis == 1 else ():
    alike = size.need is not None and size.need.axis == 1
    if alike and apart(source, site.node, size.site.node):
      return size
  return None


def _runs_of(project: Any, factory: Factory) -> list[Activation]:
  """Every run of a factory."""
  return [
    a for acts in project.activations.values() for a in acts
    if a.file == factory.source.path and factory.source.function(a.line, a.qualname) is factory.node
  ]  # fmt: skip


def _values_in(site: Site, values: list[Any], run: Activation) -> list[Any]:
  """The sizes that one run needs."""
  found: list[Any] = []
  for (activation, _, _), value in zip(site.made, values, strict=True):
    current: Activation | None = activation
    while current is not None and current is not run:
      current = current.parent
    if current is run and value is not None:
      found.append(value)
  return found


def _first_module(value: Any) -> Any:
  if isinstance(value, nn.Module):
    return value
  inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
  return next((m for m in map(_first_module, inner) if m is not None), None)


def _is_factory(project: Any, factory: Factory) -> bool:
  """Whether every run returned modules, took no arrays, and called none of them."""
  definition, source = factory.node, factory.source
  runs = _runs_of(project, factory)
  returns = [n for n in _own(definition) if isinstance(n, ast.Return) and n.value is not None]
  if not runs or not returns:
    return False
  for run in runs:
    values = [v for r in returns for v in run.events.get(key(r.value), ())]  # pyright: ignore
    if not all(v is None or holds_modules(v) for v in values):
      return False
    if any(isinstance(v, ArraySpec) for v in run.arguments.values()):
      return False
  for node in ast.walk(definition):
    if isinstance(node, ast.Yield | ast.YieldFrom | ast.Await):
      return False
    if not isinstance(node, ast.Call):
      continue
    called = project.events(source, node.func)
    if any(isinstance(e.value, nn.Module) for e in called):
      return False
    if (dotted(node.func) or "").rpartition(".")[2] in _SERVICES:
      return False
  return any(holds_modules(v) for run in runs for r in returns for v in run.events.get(key(r.value), ()))  # pyright: ignore


def _own(definition: ast.AST) -> Iterator[ast.AST]:
  """Nodes of a function without those of functions inside it."""
  for child in ast.iter_child_nodes(definition):
    yield child
    if not isinstance(child, ast.FunctionDef | ast.Lambda | ast.ClassDef):
      yield from _own(child)
