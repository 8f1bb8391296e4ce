"""Construction sites: the expression that made a layer, and the statement of `__init__` that makes it now."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import operator
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migrate.codemod.names import lookup, spell
from migrate.codemod.project import has_array
from migrate.codemod.scope import Stmt
from migrate.codemod.sizes import closed
from migrate.codemod.source import dotted, layout_call, names_in
from migrate.codemod.static import NotStatic
from migrate.core.declare import LayerMapping
from migrate.core.report import Finding
from migrate.trace.facts import Activation, ArraySpec, CallRecord

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

InstanceKey = tuple[int, tuple[str, ...]]


@dataclasses.dataclass
class SizeArg:
  """A constructor argument that Linen did not have.

  Attributes:
    name: the argument.
    parameter: the call argument whose axis it is, or None where it is hoisted.
    axis: counted from the last, 1.
    method: the method with that call argument.
    values: what it was in every instance.
    optional: whether there are instances that do without.
  """

  name: str
  parameter: str | None
  axis: int
  method: str
  values: dict[InstanceKey, Any]
  optional: bool = False


@dataclasses.dataclass
class Need:
  """A size that a site must be told: `values[i]` for the i-th module made there."""

  parameter: str
  values: list[Any]
  call_parameter: str | None = None
  axis: int | None = None
  method: str = "__call__"


@dataclasses.dataclass
class Chain:
  """A size that each layer of a list takes from the one before.

  Attributes:
    name: the local of `__init__` that carries it.
    first: what it is at first.
    step: what it is after each layer.
  """

  name: str
  first: str
  step: str


@dataclasses.dataclass(eq=False)
class Site:
  """One construction site.

  Attributes:
    attr: the attribute it becomes; empty while it is an argument of another constructor.
    node: the Linen call.
    made: (activation, index, module), in order.
    needs: sizes.
    texts: parameter -> expression, as far as settled.
    residue: fields that the call gives now: field -> text in the call.
    names: static names that could be read where it is made.
    looped: whether it is made in a loop, so that the attribute is a list.
    reference: what to write for it in the call.
  """

  attr: str
  node: ast.Call
  made: list[tuple[Activation, int, Any]]
  record: LayerMapping | None
  needs: list[Need] = dataclasses.field(default_factory=list)
  texts: dict[str, str] = dataclasses.field(default_factory=dict)
  residue: dict[str, str] = dataclasses.field(default_factory=dict)
  names: set[str] = dataclasses.field(default_factory=set)
  looped: bool = False
  reference: str = ""
  arguments: dict[str, str] = dataclasses.field(default_factory=dict)
  flow: dict[str, list[str]] = dataclasses.field(default_factory=dict)
  chain: Chain | None = None
  listed: bool = False


_REQUIRED = {"in_features", "num_features"}  # without these no layer can be made


def follow_name(full: str) -> Any:
  """The object of a full name in a loaded module, re-exports followed."""
  module, _, name = full.rpartition(".")
  return getattr(sys.modules.get(module), name, None)


def evaluate(text: str, module: Any, sizes: Mapping[str, Any]) -> Any:
  """The value of an expression over `self.field`, sizes and integers, or None where it is not that simple."""

  def walk(node: ast.AST) -> Any:
    if isinstance(node, ast.Constant):
      return node.value
    if isinstance(node, ast.Name):
      return module if node.id == "self" else sizes.get(node.id)
    if isinstance(node, ast.Attribute):
      return getattr(walk(node.value), node.attr, None)
    if isinstance(node, ast.BinOp):
      left, right = walk(node.left), walk(node.right)
      work = _OPERATORS.get(type(node.op))
      return work(left, right) if work and type(left) is int and type(right) is int and right else None
    return None

  try:
    return walk(ast.parse(text, mode="eval").body)
  except SyntaxError:
    return None


_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv}


def parameters_of(cls: type, method: str) -> list[str]:
  """Names of a method's parameters, without `self`."""
  try:
    return list(inspect.signature(getattr(cls, method)).parameters)[1:]
  except (TypeError, ValueError, AttributeError):
    return []


def bound_call(record: CallRecord) -> dict[str, Any]:
  """The arguments of a recorded call by Linen's parameter names, arrays as their shapes."""

  def plain(value: Any) -> Any:
    if isinstance(value, ArraySpec):
      return value.shape
    if isinstance(value, tuple | list):
      return type(value)(plain(v) for v in value)
    return value

  names = parameters_of(record.cls, record.method)
  given = dict(zip(names, record.args, strict=False)) | record.kwargs
  return {k: plain(v) for k, v in given.items() if v is not None}


def fields_of(module: Any) -> dict[str, Any]:
  """Every field of a Linen module, defaults included."""
  return {n: getattr(module, n, None) for n in type(module).__dataclass_fields__ if n not in ("parent", "name")}


class Sites:
  """Rendering of constructor calls, mixed into `Unit`."""

  def made_at(self: Unit, node: ast.AST) -> list[tuple[Activation, int, Any]]:
    """Modules made by this very expression."""
    found: list[tuple[Activation, int, Any]] = []
    for fact in self.project.facts:
      found += fact.created.get((self.source.path, self.position(node)), [])
    return [f for f in found if self.in_call(f[0])] if self.event_filter else found

  def creates(self: Unit, node: ast.AST) -> bool:
    """Whether this expression makes a module."""
    if not isinstance(node, ast.Call):
      return False
    return bool(self.made_at(node)) or self.untraced_layer(node) is not None or bool(self.untraced_class(node))

  def untraced_class(self: Unit, node: ast.Call) -> list[type]:
    """The rewritten class that a constructor call names which no example has reached."""
    if self.events(node):
      return []
    full = self.resolve(node.func)
    if full is None:
      return []
    return [c for c, i in self.project.classes.items() if f"{i.module}.{i.name}" == full or follow_name(full) is c]

  def untraced_layer(self: Unit, node: ast.Call) -> LayerMapping | None:
    """The record of a layer constructor that no example has reached."""
    if self.events(node):
      return None
    full = self.resolve(node.func)
    if full is None or not full.startswith("flax.linen."):
      return None
    return self.project.layers.get(f"flax.linen.{full.rpartition('.')[2]}")

  def site(self: Unit, node: ast.Call, attr: str) -> Site:
    """Reads a construction: which layers, which sizes they need, which fields the call must give."""
    made = self.made_at(node)
    classes = list(dict.fromkeys(self.project.plain(type(m)) for _, _, m in made)) or self.untraced_class(node)
    record = self.project.record(classes[0]) if classes else self.untraced_layer(node)
    if record is not None and made:
      record = record.choose(fields_of(made[0][2]))
    site = Site(attr, node, made, record, names={n for n, v in self.env.items() if v.kind == "static"})
    if record is not None:
      site.needs = list(self._layer_needs(record, made))
    elif classes:
      info = self.project.info(classes[0])
      if info is None:
        raise self.refusal(node, f"{classes[0].__module__}.{classes[0].__qualname__} is not in an included package",
                           "a class to be rewritten", f"add --include {classes[0].__module__.partition('.')[0]}")  # fmt: skip
      for cls in classes:
        for size in self.project_sizes(cls):
          values = [size.values.get(self.instance_key(a, m)) for a, _, m in made]
          if size.optional and all(v is None for v in values):
            continue  # no example reaches the layer that it is for
          if all(n.parameter != size.name for n in site.needs):
            site.needs.append(Need(size.name, values, size.parameter, size.axis if size.parameter else None, size.method))
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
      if made and all(v is None for v in values) and name not in _REQUIRED:
        continue
      if not made and name not in _REQUIRED:
        continue
      single = all(v is None or isinstance(v, int) for v in values)
      axis = 1 if single and record.inputs.split()[-1:] == [name] else None
      needs.append(Need(name, values, parameter, axis))
    return needs

  def settle(self: Unit, site: Site, call: ast.Call | None) -> None:
    """Chooses expressions for the sizes that are still open, from the call where there is one."""
    for need in site.needs:
      if need.parameter not in site.texts:
        site.texts[need.parameter] = self.size_text(site, need, call)

  def size_text(self: Unit, site: Site, need: Need, call: ast.Call | None) -> str:
    """The expression for one size."""
    parts = [self._one_size(site, need, call, values, suffix) for suffix, values in _atoms(need)]
    whole = next((v for v in need.values if v is not None), None)
    if isinstance(whole, dict):
      return "{" + ", ".join(f"{k!r}: {p}" for k, p in zip(whole, parts, strict=True)) + "}"
    if isinstance(whole, tuple) and parts and _atoms(need)[0][0]:
      return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
    return parts[0]

  def learn(self: Unit, site: Site, call: ast.Call) -> None:
    """Keeps what a call of a layer made in `setup` tells about its sizes, if it can be said in `__init__`."""
    for need in site.needs:
      for suffix, values in _atoms(need):
        found = [c for c in self._flow_candidates(site, need, call, values) if closed(c)]
        known = site.flow.setdefault(need.parameter + suffix, [])
        known += [c for c in found if c not in known]

  def _one_size(self: Unit, site: Site, need: Need, call: ast.Call | None, values: list[Any], suffix: str) -> str:
    flow = list(site.flow.get(need.parameter + suffix, ()))
    if call is not None:
      flow += self._flow_candidates(site, need, call, values)
    usable = [c for c in flow if self.readable_at(site, c)]
    known = [(a.module, v) for (a, _, _), v in zip(site.made, values, strict=True) if v is not None and a.module is not None]
    owned = self.matches(known) if known and len(known) == len(site.made) else []
    settled = next((c for c in usable if "SIZE__" not in c), None)
    if settled is not None:
      return settled
    strong = [text for rank, text in owned if rank >= 4]
    if strong:
      return strong[0]
    if usable:
      return usable[0]
    recent = self._recent(site, values)
    if recent is not None:
      return recent
    if owned and owned[0][0] >= 2:
      return owned[0][1]
    if all(v is None for v in values):
      guess = self._guess(site)
      if guess is not None:
        return guess
    chain = self._chain(site, values, flow)
    if chain is not None:
      return chain
    return self.hoist(site, f"{need.parameter}{suffix}", values)

  def _guess(self: Unit, site: Site) -> str | None:
    """A size for a layer that no example runs, so that it can be made: its own features, or the likeliest field."""
    found = site.arguments.get("features")
    if found is None:
      owners = [a.module for a, _, _ in site.made if a.module is not None]
      likely = self.likely_sizes(owners[0]) if owners else []
      found = likely[0] if likely else None
    if found is not None and self.readable_at(site, found):
      self.note(Finding(self.where(site.node), f"no example runs this layer: its input size is a guess, `{found}`", "an example that runs it",
                        "check the size, or give such an example", "eye", "L2N104"))  # fmt: skip
      return found
    return None

  def _chain(self: Unit, site: Site, values: list[Any], flow: list[str]) -> str | None:
    """In a list of layers, the size that the layer before gives."""
    if not site.listed or not site.made or site.chain is not None:
      return site.chain.name if site.chain is not None else None
    by_owner: dict[int, list[tuple[Any, Any]]] = {}
    for (activation, _, module), value in zip(site.made, values, strict=True):
      outputs = [c.output for c in self.project.calls_of(module) if isinstance(c.output, ArraySpec) and c.output.shape]
      by_owner.setdefault(id(activation), []).append((value, outputs[0].shape[-1] if outputs else None))
    for pairs in by_owner.values():
      if any(later[0] != before[1] or later[0] is None for before, later in zip(pairs, pairs[1:], strict=False)):
        return None
    step = site.arguments.get("features") or self._step_of(site)
    if step is None:
      return None
    firsts = [(a, m, v) for pos, ((a, _, m), v) in enumerate(zip(site.made, values, strict=True))
              if pos == 0 or site.made[pos - 1][0] is not a]  # fmt: skip
    owned = self.matches([(a.module, v) for a, _, v in firsts if a.module is not None])
    start = next((c for c in self.chain_starts(firsts) if self.readable_at(site, c)), None)
    start = start or (owned[0][1] if owned and owned[0][0] >= 2 else None)
    name = f"{site.attr or 'layer'}_features"
    if start is None:
      head = Site(site.attr, site.node, [(a, 0, m) for a, m, _ in firsts], site.record)
      start = self.hoist(head, "in_features", [v for _, _, v in firsts])
    site.chain = Chain(name, start, step)
    self.bound_names = self.bound_names | {name}
    return name

  def _step_of(self: Unit, site: Site) -> str | None:
    """The last axis of what a rewritten class returns, in terms of what it is made with."""
    promised = self.promised_of(site)
    return promised[-1][0] if promised and promised[-1] else None

  def chain_starts(self: Unit, firsts: list[tuple[Activation, Any, Any]]) -> list[str]:
    """Sizes of call arguments that are what the first layer of a list was given, in every instance."""
    found = []
    for token, sizes in self.token_values.items():
      if all(sizes.get(self.owner_key(a)) == v for a, _, v in firsts) and token.endswith("__1"):
        found.append(token)
    return found

  def _flow_candidates(self: Unit, site: Site, need: Need, call: ast.Call, values: list[Any]) -> list[str]:
    called = call.func.attr if isinstance(call.func, ast.Attribute) and self._is_method_call(call, site) else "__call__"
    if site.record is None and (need.call_parameter is None or called != need.method):
      return []
    node = self.argument(call, site, need.call_parameter)
    if node is None:
      return []
    dims = self.dims(node)
    if not dims:
      return []
    order = [need.axis] if need.axis else []
    order += [j for j in range(1, len(dims) + 1) if j not in order]
    events = self.array_events(node) or []
    by_module = {id(a): v for (a, _, _), v in zip(site.made, values, strict=True)}
    found: list[str] = []
    for j in order:
      if j > len(dims):
        continue
      if need.axis and j != need.axis and not events:
        continue
      fits = all(
        by_module.get(id(e.activation)) in (None, e.value.shape[-j]) or len(by_module) != len(site.made) for e in events
      )
      seen = {e.value.shape[-j] for e in events}
      wanted = {v for v in values if v is not None}
      if j == need.axis or (fits and seen == wanted):
        found += [c for c in dims[-j] if c not in found and self.holds(site, c, values)]
    return found

  def _is_method_call(self: Unit, call: ast.Call, site: Site) -> bool:
    assert isinstance(call.func, ast.Attribute)
    owners = self.events(call.func.value)
    return bool(owners) and any(e.value is m or self.same_origin(m, [e.value]) for e in owners[:1] for _, _, m in site.made)

  def holds(self: Unit, site: Site, text: str, values: list[Any]) -> bool:
    """Whether an expression over fields and sizes has the wanted value in every instance; locals are not checked."""
    if not closed(text):
      return True
    for (activation, _, _), wanted in zip(site.made, values, strict=True):
      if wanted is None:
        continue
      sizes = {t: v.get(self.owner_key(activation)) for t, v in self.token_values.items()}
      found = evaluate(text, activation.module, sizes)
      if found is not None and found != wanted:
        return False
    return True

  def argument(self: Unit, call: ast.Call, site: Site, parameter: str | None) -> ast.expr | None:
    """The expression that a call gives for one of the layer's call parameters."""
    if site.made:
      method = "__call__"
      if isinstance(call.func, ast.Attribute):
        owners = self.events(call.func.value)
        if owners and any(e.value is m or self.same_origin(m, [e.value]) for e in owners[:1] for _, _, m in site.made):
          method = call.func.attr
      order = parameters_of(type(site.made[0][2]), method)
    else:
      order = list(site.record.call_positional) if site.record else []
    for keyword in call.keywords:
      if keyword.arg is not None and keyword.arg == parameter:
        return keyword.value
    if parameter is not None and parameter not in order and site.record is None:
      return None
    index = order.index(parameter) if parameter in order else 0
    if index < len(call.args) and not any(isinstance(a, ast.Starred) for a in call.args[: index + 1]):
      return call.args[index]
    return None

  def _recent(self: Unit, site: Site, values: list[Any]) -> str | None:
    """The number of features of a layer made before, where it fits every time."""
    for other, text in reversed(self.produced):
      if other is not site and len(other.made) == len(site.made) and self.readable_at(site, text):
        sizes = [getattr(m, "features", None) for _, _, m in other.made]
        if sizes == values:
          return text
    return None

  def readable_at(self: Unit, site: Site, text: str) -> bool:
    """Whether an expression can be evaluated where the site is made."""
    if closed(text):
      return all(f in self.readable for f in re.findall(r"\bself\.(\w+)", text))
    unbound = {n for n in names_in(text) if n != "self" and not n.startswith("SIZE__")}
    return unbound <= site.names | self.bound_names

  def hoist(self: Unit, site: Site, what: str, values: list[Any]) -> str:
    """Makes an argument of the constructor for what nothing else gives."""
    base = f"{site.attr or 'layer'}_{what}"
    name, i = base, 1
    while name in self.hoists or name in self.used_arguments:
      i += 1
      name = f"{base}_{i}"
    by_instance: dict[InstanceKey, list[Any]] = {}
    for (activation, _, _), value in zip(site.made, values, strict=True):
      runs = by_instance.setdefault(self.owner_key(activation), [])
      runs.append((activation.number, value))
    settled: dict[InstanceKey, Any] = {}
    several = False
    for owner, runs in by_instance.items():
      first = runs[0][0]
      sequence = [v for n, v in runs if n == first]
      if any(v is None for v in sequence):
        longer = [v for _, v in runs if v is not None]
        sequence = [longer[0] if longer else None] if len(sequence) == 1 else sequence
      if len(set(map(repr, sequence))) > 1:
        several = True
      settled[owner] = tuple(sequence)
    for owner, sequence in settled.items():
      settled[owner] = sequence if several else sequence[0]
    self.hoists[name] = SizeArg(name, None, 0, "", settled)
    return f"{name}[len(self.{site.attr})]" if several and site.looped else name

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
      self.settle(site, None)
      self.note_features(site)
      return self.write_site(site, 70)
    finally:
      self.bound_names = saved

  def defer(self: Unit, site: Site) -> str:
    """A placeholder for a layer made in `setup`: its sizes are known when the methods have been read."""
    self.setup_sites.append(site)
    self.note_features(site)
    return f"SITE__{len(self.setup_sites) - 1}__"

  def note_features(self: Unit, site: Site) -> None:
    """Remembers a layer's number of features for those that follow."""
    text = site.arguments.get("features")
    if text is not None:
      self.produced.append((site, text))

  def prepare(self: Unit, site: Site, bound: frozenset[str] = frozenset()) -> None:
    """Renders the arguments that the Linen call gives; what only the call knows becomes its residue."""
    function, given = site.node.func, self.given_arguments(site)
    partial = self.residue_of(function)
    for field, text in partial.items():
      site.residue[field] = text
    for field, value in given:
      if field in ("name", "parent"):
        continue
      events = self.events(value)
      try:
        site.arguments[field] = self.static(value, bound)
        inner = self.residue_of(value)
        if inner:
          self.pass_residue(site, field, inner)
      except NotStatic:
        if self.movable(site, field):
          site.residue[field] = self.text(value)
          continue
        values = [e.value for e in events]
        if values and len(values) == len(site.made) and not any(map(has_array, values)) and not any(callable(v) for v in values):
          site.arguments[field] = self.hoist(site, field, values)
          continue
        raise

  def given_arguments(self: Unit, site: Site) -> list[tuple[str, ast.expr]]:
    """(field, expression) of every argument of the Linen call."""
    cls = type(site.made[0][2]) if site.made else next(iter(self.untraced_class(site.node)), None)
    if cls is not None:
      order = [f.name for f in cls.__dataclass_fields__.values() if f.init and not f.kw_only and f.name not in ("parent", "name")]
    else:
      order = list(site.record.positional) if site.record else []
    offset = self.partial_positional(site.node.func)
    found = []
    for i, value in enumerate(site.node.args):
      if isinstance(value, ast.Starred):
        raise self.refusal(site.node, "a starred argument", "arguments that can be told apart", "write them out")
      if i + offset >= len(order):
        raise self.refusal(site.node, "more arguments than fields", "a constructor call", "")
      found.append((order[i + offset], value))
    for keyword in site.node.keywords:
      if keyword.arg is None:
        found.append(("**", keyword.value))
      else:
        found.append((keyword.arg, keyword.value))
    return found

  def movable(self: Unit, site: Site, field: str) -> bool:
    """Whether a field may be given in the call instead."""
    if site.record is not None:
      return field in site.record.call_fields
    value = dict(self.given_arguments(site)).get(field)
    if value is None or not {n.id for n in ast.walk(value) if isinstance(n, ast.Name)} & (self.parameters | self.call_fields):
      if not any(f"{self.self_name}.{f}" in self.source.code(value) for f in self.call_fields if value is not None):
        return False
    cls = self.project.plain(type(site.made[0][2])) if site.made else next(iter(self.untraced_class(site.node)), None)
    return cls is not None and self.project.info(cls) is not None and field != "**"

  def write_site(self: Unit, site: Site, width: int, indent: str = "") -> str:
    """The NNX constructor call."""
    sizes = [(n.parameter, site.texts[n.parameter]) for n in site.needs]
    rngs = self.rngs_argument
    if site.record is None:
      function = self.callee(site)
      optional = self._optional_sizes(site)
      arguments = [text for n, text in sizes if n not in optional]
      optional_arguments = [f"{n}={text}" for n, text in sizes if n in optional]
      positional = not self.partial_positional(site.node.func)
      count = len(site.node.args)
      for i, (field, text) in enumerate(site.arguments.items()):
        if field == "**":
          arguments.append(f"**{text}")
        else:
          arguments.append(text if i < count and positional and self._in_order(site, i) else f"{field}={text}")
      arguments += optional_arguments
      arguments.append(f"rngs={rngs}")
      return layout_call(function, arguments, indent, width)
    return self.write_layer(site, site.record, dict(sizes), width, indent)

  def _in_order(self: Unit, site: Site, index: int) -> bool:
    given = [f for f, _ in self.given_arguments(site)][: index + 1]
    return all(f in site.arguments for f in given)

  def _optional_sizes(self: Unit, site: Site) -> set[str]:
    classes = {self.project.plain(type(m)) for _, _, m in site.made} or set(self.untraced_class(site.node))
    return {s.name for c in classes for s in self.project_sizes(c) if s.optional}

  def write_layer(self: Unit, site: Site, record: LayerMapping, sizes: Mapping[str, str], width: int, indent: str) -> str:
    """An NNX layer by its record: names, order and defaults as NNX has them."""
    function, target = self.layer_callee(site, record)
    signature = inspect.signature(target.__init__) if target is not None else None
    accepted = list(signature.parameters.values())[1:] if signature else []
    positional = [p.name for p in accepted if p.kind is p.POSITIONAL_OR_KEYWORD]
    fates = {a.linen: a for a in record.args if a.linen is not None}
    stars: list[str] = []
    pairs: list[tuple[str, str, bool]] = [(n, t, True) for n, t in sizes.items()]
    count = len(site.node.args)
    for i, (field, text) in enumerate(site.arguments.items()):
      arg = fates.get(field)
      if field == "**":
        stars.append(f"**{text}")
        continue
      if arg is None or arg.fate == "ignore":
        continue
      if arg.fate == "refuse":
        if text in arg.allow:
          continue
        raise self.refusal(site.node, f"{record.linen}({field}={text})", "an argument that NNX has", arg.because)
      if arg.fate == "convert":
        text = self.template(arg.code.replace("{value}", text))
      name = arg.nnx or field
      if name.startswith("*"):
        stars.append(self._star(text))
        continue
      pairs.append((name, text, i < count))
    names = {n for n, _, _ in pairs}
    extra = [(a.nnx or "", a.code) for a in record.args if a.fate == "add"]
    extra += [(a.nnx or "", a.absent) for a in record.args if a.fate == "convert" and a.absent and a.linen not in site.arguments]
    if record.exact is not None and (record.exact.when == "always" or self.exact or self._half(site)):
      extra += list(record.exact.args)
    for name, code in extra:
      if name and code and name not in names and not (stars and stars[0].startswith("**")) and not self._in_partial(site, name):
        pairs.append((name, self.template(code), False))
        names.add(name)
    arguments: list[str] = []
    straight = True
    for i, (name, text, wants_position) in enumerate(pairs):
      straight = straight and wants_position and i < len(positional) and positional[i] == name
      arguments.append(text if straight else f"{name}={text}")
    arguments += stars
    if record.takes_rngs and (signature is None or "rngs" in signature.parameters):
      arguments.append(f"rngs={self.rngs_argument}")
    return layout_call(function, arguments, indent, width)

  def _half(self: Unit, site: Site) -> bool:
    """Whether the layer computes in less than float32."""
    low = ("bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")
    for _, _, module in site.made:
      dtype = getattr(module, "dtype", None)
      if dtype is not None and getattr(dtype, "__name__", str(dtype)).split(".")[-1] in low:
        return True
      for call in self.project.calls_of(module)[:1]:
        if any(isinstance(a, ArraySpec) and a.dtype in low for a in call.args):
          return True
    return False

  def _in_partial(self: Unit, site: Site, name: str) -> bool:
    return False

  @staticmethod
  def _star(text: str) -> str:
    stripped = text.strip().removeprefix("*")
    if stripped[:1] in "[(" and stripped[-1:] in ")]":
      try:
        tree = ast.parse(stripped, mode="eval").body
        if isinstance(tree, ast.List | ast.Tuple):
          return stripped[1:-1].strip().rstrip(",")
      except SyntaxError:
        pass
    return f"*{stripped}"

  def layer_callee(self: Unit, site: Site, record: LayerMapping) -> tuple[str, Any]:
    """(what to call, the NNX class): the stock layer, a template, or the local or field that holds it."""
    full = self.resolve(site.node.func)
    if record.nnx.startswith("template:"):
      target = None
      text = self.template(record.nnx)
    else:
      target = lookup(record.nnx)
      text, statement = spell(record.nnx)
    if full is not None and full.startswith("flax.linen."):
      if not record.nnx.startswith("template:"):
        self.need_import(spell(record.nnx)[1])
      return text, target
    return self.callee(site), target

  def callee(self: Unit, site: Site) -> str:
    """The text of what is called, for `__init__`."""
    return self.static(site.node.func)

  def emit(self: Unit, site: Site, comments: tuple[str, ...] = ()) -> None:
    """Adds the statement that makes the layer to `__init__`."""
    width = 100 - len(self.init_indent) - len(site.attr) - (14 if site.looped else 8)

    def text() -> str:
      self.settle(site, None)
      made = self.write_site(site, width)
      return f"self.{site.attr}.append({made})" if site.looped else f"self.{site.attr} = {made}"

    if site.looped and not self.iterator:
      self.loops[0].before.append(Stmt(lambda: f"self.{site.attr} = nnx.List([])", keep=True))
    self.block.append(Stmt(text, keep=True, comments=comments))
    self.note_features(site)


def _atoms(need: Need) -> list[tuple[str, list[Any]]]:
  """The single numbers that a size consists of: (suffix, values)."""
  whole = next((v for v in need.values if v is not None), None)
  if isinstance(whole, dict):
    return [(f"_{i}", [v[k] if v else None for v in need.values]) for i, k in enumerate(whole)]
  if isinstance(whole, tuple) and need.axis is None and len({len(v) for v in need.values if v is not None}) == 1:
    return [(f"_{i}", [v[i] if v else None for v in need.values]) for i in range(len(whole))]
  return [("", need.values)]


def first_call(node: ast.AST) -> str | None:
  """The dotted name that a call calls."""
  return dotted(node.func) if isinstance(node, ast.Call) else None


def note_left(where: str, what: str, do: str) -> Finding:
  """A finding about something that was left as it was."""
  return Finding(where, what, "a construct with a rewriting", do, "error", "L2N100")
