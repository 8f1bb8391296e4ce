"""Construction sites: the expression that made a layer, and the statement of `__init__` that makes it now."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.carries import made_for_carry
from migrate.codemod.copies import handed_on, make_by_template, template_of
from migrate.codemod.frozen import are_lists, as_pairs, as_tuple
from migrate.codemod.opened import is_opened
from migrate.codemod.project import has_array, is_local
from migrate.codemod.scope import Stmt, given_in
from migrate.codemod.site import (
  REQUIRED_SIZES,
  Need,
  Site,
  bound_call,
  fields_of,
  follow_name,
  parameters_of,
  positional_fields,
)
from migrate.codemod.sizes_pool import wrap
from migrate.codemod.source import defaults_of, dotted, names_in
from migrate.codemod.spread import spread, spread_text
from migrate.codemod.stacks import stack_need
from migrate.codemod.static import CallField, NotStatic
from migrate.codemod.unpacked import unpacked_dict
from migrate.core.declare import LayerMapping
from migrate.core.report import Finding
from migrate.trace.facts import Activation

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class Sites:
  """Rendering of constructor calls, mixed into `Unit`."""

  def made_at(self: Unit, node: ast.AST) -> list[tuple[Activation, int, Any]]:
    """Modules made by this very expression."""
    found: list[tuple[Activation, int, Any]] = []
    for fact in self.project.facts:
      found += fact.created.get((self.source.path, self.position(node)), [])
    if not found and self.maker_of(node) is not None:
      counts: Counter[int] = Counter()
      for caller, _, module in self.makers.running(self, node):
        found.append((caller, counts[id(caller)], module))
        counts[id(caller)] += 1
    found = self.last_made(found)
    return [f for f in found if self.in_call(f[0])] if self.event_filter else found

  def maker_of(self: Unit, node: ast.AST) -> Any:
    """The function behind a call, if it makes the layer that the call gives."""
    return self.makers.of(self, node) if self.makers is not None and not self.no_sites else None

  def creates(self: Unit, node: ast.AST) -> bool:
    """Whether this expression makes a module."""
    if not isinstance(node, ast.Call) or self.no_sites or made_for_carry(self, node) or is_opened(self, node):
      return False
    if self.factory_of(node) is not None:
      return all(isinstance(v, nn.Module) for v in self.given_by(node))
    return bool(self.made_at(node)) or self.untraced_layer(node) is not None or bool(self.untraced_class(node))

  def untraced_class(self: Unit, node: ast.Call) -> list[type]:
    """The rewritten class that a constructor call names which no example has reached."""
    if self.events(node):
      return []
    full = self.untraced_callee(node.func)
    if full is None:
      return []
    found = [c for c, i in self.project.classes.items() if f"{i.module}.{i.name}" == full or follow_name(full) is c]
    return [c for c in found if c not in self.project.stays]

  def untraced_layer(self: Unit, node: ast.Call) -> LayerMapping | None:
    """The record of a layer constructor that no example has reached."""
    if self.events(node):
      return None
    full = self.untraced_callee(node.func)
    if full is None or not full.startswith("flax.linen."):
      return None
    return self.project.layers.get(f"flax.linen.{full.rpartition('.')[2]}")

  def site(self: Unit, node: ast.Call, attr: str) -> Site:
    """Reads a construction: which layers, which sizes they need, which fields the call must give."""
    factory = self.factory_of(node)
    if factory is not None:
      return self.factory_site(node, attr, factory)
    made = self.made_at(node)
    template = template_of(self, node)
    maker = self.maker_of(node)
    if maker is not None:
      known = {n for n, v in self.env.items() if v.kind in ("static", "arrays")}
      home = (self.source, self.names)
      return Site(attr, node, made, None, list(maker.needs_of(made)), names=known, maker=maker, home=home)
    classes = list(dict.fromkeys(self.project.plain(type(m)) for _, _, m in made)) or self.untraced_class(node)
    record = self.project.made_by(classes[0]) if classes else self.untraced_layer(node)
    if record is not None and made:
      record = record.choose(fields_of(made[0][2]))
    listed = next((n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in self.pipelines), "")
    site = Site(
      attr,
      node,
      made,
      record,
      pipeline=self.pipelines.get(listed, ""),
      names={n for n, v in self.env.items() if v.kind in ("static", "arrays")},
      home=(self.source, self.names),
      guards=tuple(self.guards),
    )
    if record is not None:
      site.needs = list(self._layer_needs(record, made))
      site.partial = self.partial_arguments(node.func)
    if classes and self.project.record(classes[0]) is None:
      info = self.project.info(classes[0])
      if info is None and is_local(classes[0]):
        raise self.refusal(node, f"{classes[0].__qualname__}, a class that is made anew in every call",
                           "a class that is made once", "make it at the top level of its file")  # fmt: skip
      if info is None:
        raise self.refusal(node, f"{classes[0].__module__}.{classes[0].__qualname__} is not in an included package",
                           "a class to be rewritten", f"add --include {classes[0].__module__.partition('.')[0]}")  # fmt: skip
      for cls in classes:
        for size in self.project_sizes(cls):
          values = [size.values.get(self.instance_key(a, m)) for a, _, m in made]
          if size.optional and all(v is None for v in values):
            continue  # no example reaches the layer that it is for
          if all(n.parameter != size.name for n in site.needs):
            axis = size.axis if size.parameter else None
            site.needs.append(Need(size.name, values, size.parameter, axis, size.method, size.default))
    if template:
      make_by_template(self, site, template)
      return site
    stacked = stack_need(self, node, made)
    if stacked is not None:
      site.needs.append(stacked)
    return site

  def _layer_needs(self: Unit, record: LayerMapping, made: Sequence[tuple[Activation, int, Any]]) -> list[Need]:
    wanted = [a.nnx for a in record.args if a.fate == "infer" and a.nnx]
    computed: list[dict[str, Any]] = []
    parameter = record.input or (record.call_positional[0] if record.call_positional else None)
    for _, _, module in made:
      calls = [c for c in self.project.calls_of(module) if c.args or c.kwargs]
      sizes: dict[str, Any] = {}
      for call in calls:
        given = bound_call(call)
        try:
          if record.infer is not None:
            sizes = dict(record.infer.compute(fields_of(module), given))
          elif record.inputs:
            name = record.input or parameters_of(call.cls, call.method)[0]
            shape = given.get(name)
            if isinstance(shape, tuple) and shape:
              sizes = {record.inputs.split()[-1]: shape[-1]}
        except (KeyError, IndexError, TypeError):
          continue
        if sizes:
          break
      computed.append(sizes)
    needs = []
    for name in wanted:
      values = [c.get(name) for c in computed]
      if made and all(v is None for v in values) and name not in REQUIRED_SIZES:
        continue
      if not made and name not in REQUIRED_SIZES:
        continue
      single = all(v is None or isinstance(v, int) for v in values)
      axis = 1 if single and record.inputs.split()[-1:] == [name] else None
      needs.append(Need(name, values, parameter, axis))
    return needs

  def constructor(self: Unit, node: ast.Call, bound: frozenset[str] = frozenset()) -> str:
    """The text of a constructor call that stands inside another one."""
    site = self.site(node, "")
    site.names |= bound
    saved, self.bound_names = self.bound_names, self.bound_names | bound
    try:
      self.inner_sites.append(site)
      self.prepare(site, bound)
      if self.in_setup:
        return self.defer(site)
      if site.residue:
        raise NotStatic(f"{', '.join(site.residue)} of an inner layer is known only in the call")
      if self.pipeline:
        self.pipeline_sizes(site)
      self.settle(site, self.call_of_wrapper(site) or self.call_soon(site))
      known = len(self.produced)
      self.note_features(site)
      self.passes_features(site, known)
      if self.pipeline:
        self.pipeline_passes(site)
      return self.write_site(site, 70)
    finally:
      self.bound_names = saved

  def defer(self: Unit, site: Site) -> str:
    """A placeholder for a layer made in `setup`: its sizes are known when the methods have been read."""
    site.listed, site.outside = site.listed or self.setup_loops > 0, self.building.outside
    self.setup_sites.append(site)
    self.note_features(site)
    return f"SITE__{len(self.setup_sites) - 1}__"

  def note_features(self: Unit, site: Site) -> None:
    """Remembers a layer's number of features for those that follow."""
    if not site.made:
      promised = self.promised_of(site)
      text = site.arguments.get("features") or (promised[-1][0] if promised and promised[-1] else None)
      if text is not None:
        self.produced.append((site, text))
      return
    outputs = [self.project.output_features(m) for _, _, m in site.made]
    names = sorted(site.arguments, key=lambda n: not n.endswith("features"))
    for name in names:
      given = [getattr(m, name, None) for _, _, m in site.made]
      if given and all(type(g) is int for g in given) and given == outputs:
        self.produced.append((site, site.arguments[name]))
        return

  def prepare(self: Unit, site: Site, bound: frozenset[str] = frozenset()) -> None:
    """Renders the arguments that the Linen call gives; what only the call knows becomes its residue."""
    if site.template:
      return
    if isinstance(site.node.func, ast.Name) and self.function_depth:
      site.callee = self.try_static(site.node.func)
    if site.factory is not None:
      self.prepare_factory(site, bound)
      return
    function, given = site.node.func, self.given_arguments(site)
    partial = self.residue_of(function) if site.maker is None else self._moved_to_call(site)
    site.residue.update({field: text for field, text in partial.items() if field not in dict(given)})
    for field, value in given:
      if field in ("name", "parent") and (site.maker is None or field not in site.maker.parameters):
        continue
      if site.maker is not None and field in site.maker.gone:
        continue
      events = self.events(value)
      try:
        text = spread_text(value, lambda v: self.static(v, bound)) if field == "**" else self.static(value, bound)
        nested = [v for e in events if isinstance(e.value, list | tuple) for v in e.value]
        if site.record is not None and are_lists(nested):
          text = as_pairs(text)  # a stock layer takes any sequence, but of tuples
        elif are_lists([e.value for e in events] if site.record is None and site.maker is None else nested):
          text = as_tuple(text)
        site.arguments[field] = text
        if field in self.fields_of_makers(site) and (function_text := handed_on(self, site, field, value)):
          site.arguments[field] = function_text
          site.handed_on.add(field)
        inner = self.residue_of(value)
        if inner:
          self.pass_residue(site, field, inner)
        if field == "**":
          self.pass_residues_of_dict(site, value)
      except NotStatic as error:
        if self.movable(site, field):
          site.residue[field] = self.text(value)
          continue
        if isinstance(error, CallField):
          raise  # makers give the field in the call, but this class needs it to make a layer
        if site.made and (handed := self.static_handed(value, bound)) is not None:
          site.arguments[field] = handed
          continue
        values = [e.value for e in events]
        if (
          values
          and len(values) == len(site.made)
          and not any(map(has_array, values))
          and not any(callable(v) for v in values)
        ):
          site.arguments[field] = self.hoist(site, field, values)
          if isinstance(value, ast.Name):
            self.note_hoisted(value)
          continue
        if not site.made and field != "**":  # no example comes here: whoever does gives the value
          site.arguments[field] = self.hoist(site, field, [])
          continue
        raise

  def fields_of_makers(self: Unit, site: Site) -> frozenset[str]:
    """Fields of the class that is made that take a function that makes a module."""
    found = self.results.get(self.project.plain(type(site.made[0][2]))) if site.made and site.record is None else None
    return found.maker_fields if found is not None else frozenset()

  def _moved_to_call(self: Unit, site: Site) -> dict[str, str]:
    """What the function that makes the layer leaves to the layer's call, in terms of its arguments here."""
    node, given = site.maker.node, dict(self.given_arguments(site))
    defaults = defaults_of(node.args)
    found = {}
    for field, expression in site.maker.moved.items():
      text = site.maker.source.code(expression)
      for name in {n.id for n in ast.walk(expression) if isinstance(n, ast.Name)} & set(site.maker.parameters):
        value = self.text(given[name]) if name in given else site.maker.source.code(defaults[name])
        text = re.sub(rf"\b{name}\b", lambda _, v=value: wrap(v), text)
      found[field] = text
    return found

  def given_arguments(self: Unit, site: Site) -> list[tuple[str, ast.expr]]:
    """(field, expression) of every argument of the Linen call."""
    cls = type(site.made[0][2]) if site.made else next(iter(self.untraced_class(site.node)), None)
    if site.maker is not None:
      order = site.maker.parameters
    elif cls is not None:
      order = positional_fields(cls)
    else:
      order = list(site.record.positional) if site.record else []
    offset = self.partial_positional(site.node.func)
    found = []
    for i, value in enumerate(site.node.args):
      if isinstance(value, ast.Starred):
        if self.always_empty(value.value):
          continue
        raise self.refusal(site.node, "a starred argument", "arguments that can be told apart", "write them out")
      if i + offset >= len(order):
        raise self.refusal(site.node, "more arguments than fields", "a constructor call", "")
      found.append((order[i + offset], value))
    for keyword in site.node.keywords:
      found += self._spread(site, keyword) if keyword.arg is None else [(keyword.arg, keyword.value)]
    return found

  def _spread(self: Unit, site: Site, keyword: ast.keyword) -> list[tuple[str, ast.expr]]:
    """The arguments that `**` gives; a local dict is taken apart where NNX wants them otherwise than Linen."""
    items = unpacked_dict(self.source, keyword.value) if site.record is not None else None
    if items is None or site.record is None:
      return spread(keyword)
    same = {a.linen for a in site.record.args if a.fate == "same"} - set(site.record.call_fields)
    return spread(keyword) if {field for field, _ in items} <= same else items

  def always_empty(self: Unit, node: ast.AST) -> bool:
    """Whether what a star unpacks was an empty tuple or list every time."""
    seen = [e.value for e in self.events(node)]
    return bool(seen) and all(isinstance(v, tuple | list) and not v for v in seen)

  def movable(self: Unit, site: Site, field: str) -> bool:
    """Whether a field may be given in the call instead."""
    if site.maker is not None:
      return False
    if site.record is not None:
      return field in site.record.call_fields
    value = dict(self.given_arguments(site)).get(field)
    arrays = value is not None and any(has_array(e.value) for e in self.events(value))
    if value is None or (
      not arrays
      and not {n.id for n in ast.walk(value) if isinstance(n, ast.Name)} & (self.parameters | self.call_fields)
    ):
      if not any(f"{self.self_name}.{f}" in self.source.code(value) for f in self.call_fields if value is not None):
        return False
    cls = self.project.plain(type(site.made[0][2])) if site.made else next(iter(self.untraced_class(site.node)), None)
    if cls is None or (cls, field) in self.project.constructed:
      return False
    return self.project.info(cls) is not None and field != "**"

  def make_after_sizes(self: Unit, site: Site) -> None:
    """Makes a layer where it is called, if a size of it has got its value since the source made it."""
    made = site.statement
    if made is None or made not in self.block:
      return
    at = self.block.index(made)
    names = {n for text in site.texts.values() for n in names_in(text)} - {"self"}
    later = {name for item in self.block[at + 1 :] for name in given_in(item)}
    own = {n for text in [*site.arguments.values(), *site.partial.values()] for n in names_in(text)}
    read = {a for text in site.texts.values() for a in re.findall(r"\bself\.(\w+)\.", text)}
    rest = self.block[at + 1 :]
    if any(s.attr in read and s.statement is not None and s.statement in rest for s in self.sites.values()):
      self.block.append(self.block.pop(at))  # it reads a layer that is made later
      return
    if names & later and not own & later:  # its own arguments are those of the place where it stands
      self.block.append(self.block.pop(at))

  def emit(self: Unit, site: Site, comments: tuple[str, ...] = ()) -> None:
    """Adds the statement that makes the layer to `__init__`."""
    width = 100 - len(self.init_indent) - len(site.attr) - (14 if site.looped else 8)

    def text() -> str:
      with self.at_home(site):
        self.settle(site, None)
        made = self.write_site(site, width)
      return f"self.{site.attr}.append({made})" if site.looped else f"self.{site.attr} = {made}"

    if site.looped and not self.iterator and not site.joins:
      self.loops[0].before.append(Stmt(lambda: f"self.{site.attr} = nnx.List([])", keep=True))
    site.statement = Stmt(text, keep=True, comments=comments, takes_none=lambda: self.sizes_left_out(site))
    self.block.append(site.statement)
    self.note_features(site)


def first_call(node: ast.AST) -> str | None:
  """The dotted name that a call calls."""
  return dotted(node.func) if isinstance(node, ast.Call) else None


def note_left(where: str, what: str, do: str) -> Finding:
  """A finding about something that was left as it was."""
  return Finding(where, what, "a construct with a rewriting", do, "error", "L2N100")
