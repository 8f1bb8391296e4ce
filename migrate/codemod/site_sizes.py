"""Which expression tells a site its sizes."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import itertools
import re
from typing import TYPE_CHECKING, Any

from migrate.codemod.called_in_turn import called_in_turn, firsts_of, learn_start
from migrate.codemod.closed_sizes import said_later
from migrate.codemod.given_flags import flag_text, is_flag
from migrate.codemod.guesses import Guesses, counts_to, differ
from migrate.codemod.handed_values import value_given
from migrate.codemod.hoists import Hoists
from migrate.codemod.input_names import input_name
from migrate.codemod.item_names import items_of_field
from migrate.codemod.joined_sizes import joined_size
from migrate.codemod.own_names import OwnNames
from migrate.codemod.own_sizes import OwnSizes, enters_list, step_given
from migrate.codemod.parallel_lists import before_list, of_other_list
from migrate.codemod.readable import Readable
from migrate.codemod.recent import RecentSizes
from migrate.codemod.row_sizes import Rows
from migrate.codemod.site import Chain, Need, Site, atoms, evaluate, parameters_of
from migrate.codemod.sizes_pool import TOKEN, closed
from migrate.codemod.source import names_in
from migrate.trace.facts import Activation, ArraySpec

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


_COMPREHENSIONS = (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp)


class SiteSizes(Guesses, Hoists, OwnNames, OwnSizes, Readable, RecentSizes, Rows):
  """Choosing sizes, mixed into `Unit`."""

  def size_name(self: Unit, local: str, axis: int, rank: int) -> str:
    """A name for an array's size: `x_features` for the last axis."""
    what = (
      "features"
      if axis == rank - 1
      else {1: "height", 2: "width"}.get(axis, f"dim{axis}")
      if rank == 4
      else f"dim{axis}"
    )
    return f"{local.rstrip('_')}_{what}"

  def settle(self: Unit, site: Site, call: ast.Call | None) -> None:
    """Chooses expressions for the sizes that are still open, from the call where there is one."""
    for need in site.needs:
      if need.parameter not in site.texts:
        site.texts[need.parameter] = self.size_text(site, need, call)

  def size_text(self: Unit, site: Site, need: Need, call: ast.Call | None) -> str:
    """The expression for one size."""
    before = set(self.hoists)
    if need.axis == 0 and not is_flag(need):
      return self._one_size(site, need, call, need.values, "")
    parts = [self._one_size(site, need, call, values, suffix) for suffix, values in atoms(need)]
    whole = next((v for v in need.values if v is not None), None)
    made = set(self.hoists) - before
    if isinstance(whole, tuple) and len(parts) > 1 and made == set(parts):  # nothing tells any of them: one argument
      for name in made:
        del self.hoists[name]
      return self.hoist(site, need.parameter, need.values)
    if whole == ():  # sizes that a list of axes picks, of which there are none
      return "()"
    if isinstance(whole, dict):
      return "{" + ", ".join(f"{k!r}: {p}" for k, p in zip(whole, parts, strict=True)) + "}"
    if isinstance(whole, tuple) and parts and atoms(need)[0][0]:
      return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
    return parts[0]

  def learn(self: Unit, site: Site, call: ast.Call) -> None:
    """Keeps what a call of a layer made in `setup` tells about its sizes, if it can be said in `__init__`."""
    for need in site.needs:
      if is_flag(need):
        told = flag_text(self, site, need, call)
        site.flow.setdefault(need.parameter, []).extend([told] if told is not None else [])
        continue
      if need.axis == 0:
        told = value_given(self, site, need, call)
        told = self.at_setup_site(site, told) if told is not None else None
        site.flow.setdefault(need.parameter, []).extend([told] if told is not None else [])
        continue
      learn_start(self, site, need, call)
      given = self.argument(call, site, need.call_parameter) if need.axis == 1 else None
      if given is not None and need.parameter not in site.wished:
        site.wished[need.parameter] = input_name(self, given)
      for suffix, values in atoms(need):
        flow = [c for c in self._flow_candidates(site, need, call, values) if closed(c)]
        found = [t for c in flow if (t := self.at_setup_site(site, c)) is not None]
        known = site.flow.setdefault(need.parameter + suffix, [])
        known += [c for c in found if c not in known]

  def _one_size(self: Unit, site: Site, need: Need, call: ast.Call | None, values: list[Any], suffix: str) -> str:
    name = self.name_text(site, need, values) or (None if is_flag(need) else value_given(self, site, need, call))
    if name is not None:
      return name
    if need.axis == 0:
      told = flag_text(self, site, need, call) if is_flag(need) and call is not None else None
      told = next(iter(site.flow.get(need.parameter, ())), None) if told is None else told
      return self.hoist(site, need.parameter, values) if told is None else told
    row = self._in_row(site, values)
    if row is not None:
      return row
    flow = list(site.flow.get(need.parameter + suffix, ()))
    if not suffix and called_in_turn(self, site, need) and (chain := self._chain(site, values, need)) is not None:
      return chain
    if call is not None:
      flow += self._flow_candidates(site, need, call, values)
    readable = [c for c in flow if self.readable_at(site, c)]
    usable = [c for c in readable if not re.match(r"self\.\w+\.shape\[", c)]
    known = [
      (a.module, v) for (a, _, _), v in zip(site.made, values, strict=True) if v is not None and a.module is not None
    ]
    # a stock layer that is never called may have any size; what an instance of a class does without is not made there
    owned = self.matches(known) if len(known) == len(site.made) or site.record is not None else []
    settled = next((c for c in usable if "SIZE__" not in c), None)
    if settled is not None:  # a width that the source names is plainer than how it came about
      whole = ("//" in settled and TOKEN.fullmatch(usable[0])) or settled in usable[0]  # or a case of the first
      return usable[0] if whole else settled
    said = said_later(self, site, flow)
    if said is not None and any(text in said for _, text in owned):
      return said  # `inputs if self.width is None else self.width`: the field alone is one of its cases
    strong = [text for rank, text in owned if rank >= 4]
    if strong:
      return strong[0]
    if usable:
      return usable[0]
    recent = self._own_count(site, values) or self._recent(site, values)
    if recent is not None:
      return recent
    if (after := self._after_chain(site, values)) is not None:
      return after
    if owned and owned[0][0] >= 2:
      return owned[0][1]
    heads = [text for _, text in owned if suffix and _HEADS & set(text.rpartition(".")[2].lower().split("_"))]
    if heads:  # the first part of what attention gives
      return heads[0]
    if all(v is None for v in values):
      guess = self._as_in_other_branch(site, need, suffix) or self._guess(site)
      if guess is not None:
        return guess
    start = self._first_of_call(site, values)
    if start is not None:
      return start
    given = self._own_argument(site, values) or self._own_count(site, values, multiples=True)
    if given is not None:
      return given
    chain = self._chain(site, values, need) or joined_size(self, site, values, need)
    if chain is not None:
      return chain
    if owned and differ(values):  # it went along with several sizes: hardly by chance
      return owned[0][1]
    if said is not None:
      return said
    told = enters_list(self, site, values) if need.axis == 1 or need.call_parameter is None else None
    told = told or items_of_field(self, site, values) or of_other_list(self, site, values)
    told = told or self._multiple_of_field(known, values)
    return (
      told or next((c for c in readable if c not in usable), None) or self._hoisted(site, need, call, values, suffix)
    )

  def _hoisted(self: Unit, site: Site, need: Need, call: ast.Call | None, values: list[Any], suffix: str) -> str:
    """An argument for a size that nothing tells, called like the input where that is known."""
    given = (
      self.argument(call, site, need.call_parameter) if call is not None and need.axis == 1 and not suffix else None
    )
    wished = input_name(self, given) if given is not None else site.wished.get(need.parameter, "")
    return self.hoist(site, f"{need.parameter}{suffix}", values, f"{wished}_features" if wished else "")

  def axis_of_field(self: Unit, node: ast.AST, axis: int) -> str | None:
    """The field that an axis of an array was at every set of sizes, where the flow tells nothing of it."""
    events = self.array_events(node) or []
    seen = [(e.activation.module, e.value.shape[axis]) for e in events]
    if len({size for _, size in seen}) < 2 or any(module is None for module, _ in seen):
      return None
    owned = [text for rank, text in self.matches(seen) if rank >= 2]
    return next((t for t in owned if set(re.findall(r"\bself\.(\w+)", t)) <= self.readable), None)

  def _multiple_of_field(self: Unit, known: list[tuple[Any, int]], values: list[Any]) -> str | None:
    """Two, three or four times a width that is a field: halves that were joined, at every set of sizes."""
    if len(known) < len(values) or not differ([v for _, v in known]):
      return None
    joined = {len(s.record.children) for s in self.sites.values() if s.record is not None}
    for times in (n for n in (2, 3, 4) if n in joined or counts_to(self.info.node, n)):
      if all(type(v) is int and v % times == 0 for _, v in known):
        owned = self.matches([(m, v // times) for m, v in known])
        if owned and owned[0][0] >= 2:
          return f"{times} * {owned[0][1]}"
    return None

  def _after_chain(self: Unit, site: Site, values: list[Any], whole: Site | None = None) -> str | None:
    """What the last layer of a list made before gives, where it fits every time."""
    before = list(self.sites.values())
    before = before[: next((i for i, other in enumerate(before) if other is (whole or site)), len(before))]
    for other in before:
      if other.listed and other.made and other.chain is None and other is not whole:
        self.settle(other, None)
    for other in reversed([*self.setup_sites, *before]):
      if other.chain is None or other is site or other.chain.name not in self.bound_names:
        continue
      run = id if self.in_factory is not None else self.owner_key
      last = {run(a): self.project.output_features(m) for a, _, m in other.made}
      if all(v is not None and last.get(run(a)) == v for (a, _, _), v in zip(site.made, values, strict=True)):
        return other.chain.name
    return None

  def _first_of_call(self: Unit, site: Site, values: list[Any]) -> str | None:
    """The last axis of a call argument that had the wanted size in every instance, at every set of sizes."""
    if any(v is None for v in values) or len({a.path for a, _, _ in site.made}) < 1:
      return None
    firsts = [(a, m, v) for (a, _, m), v in zip(site.made, values, strict=True)]
    found = [c for c in self.chain_starts(firsts) if self.readable_at(site, c)]
    return found[0] if found and len({id(self.project.fact_of(a)) for a, _, _ in firsts}) > 1 else None

  def _chain(self: Unit, site: Site, values: list[Any], need: Need, grows: bool = False) -> str | None:
    """In a list of layers, the size that the layer before gives, or all before (`grows`)."""
    if self.in_factory is not None and any(isinstance(n, _COMPREHENSIONS) for n in self.source.enclosing(site.node)):
      return None  # its callers give the sizes
    if not site.listed or not site.made or site.chain is not None:
      return site.chain.name if site.chain is not None and site.chain.values == values else None
    by_owner: dict[int, list[tuple[Any, Any]]] = {}
    told = site.around.made if site.around is not None and len(site.around.made) == len(site.made) else site.made
    for (activation, _, module), value in zip(told, values, strict=True):
      outputs = [c.output for c in self.project.calls_of(module) if isinstance(c.output, ArraySpec) and c.output.shape]
      by_owner.setdefault(id(activation), []).append((value, outputs[0].shape[-1] if outputs else None))
    for pairs in by_owner.values():
      known = all(size is not None and given is not None for size, given in pairs[:-1])
      if not known or any(b[0] * grows + b[1] != later[0] for b, later in itertools.pairwise(pairs)):
        return None
    if self._in_inner_list(site) and any(len({v for v, _ in pairs}) > 1 for pairs in by_owner.values()):
      return None  # no local can be carried from element to element
    step = site.arguments.get("features") or self._step_of(site) or self._step_of_layer(site, told)
    if step is None:
      return None
    firsts = firsts_of(site, values)
    owned = self.matches([(a.module, v) for a, _, v in firsts if a.module is not None])
    start = next(
      (c for c in [*site.starts.get(need.parameter, ()), *self.chain_starts(firsts)] if self.readable_at(site, c)), None
    )
    start = start or (owned[0][1] if owned and owned[0][0] >= 2 else None)
    name = f"{site.attr or 'layer'}_features"
    if start is None:
      head, sizes = Site(site.attr, site.node, [(a, 0, m) for a, m, _ in firsts], site.record), [v for *_, v in firsts]
      start = self._after_chain(head, sizes, site)
      if start is None and differ(values):
        start = before_list(self, site, [(a, v) for a, _, v in firsts])
      start = start or self.hoist(head, "in_features", sizes)
    site.chain = Chain(name, start, f"{name} + {step}" if grows else step, values)
    self.bound_names = self.bound_names | {name}
    return name

  def _in_inner_list(self: Unit, site: Site) -> bool:
    """Whether `setup` makes the layers in a comprehension that stays one."""
    around = [n for n in self.source.enclosing(site.node) if isinstance(n, ast.ListComp | ast.GeneratorExp)]
    whole = site.around or site
    return bool(around) and site in self.setup_sites and all(whole is not made for made, *_ in self.comprehensions)

  def _step_of(self: Unit, site: Site) -> str | None:
    """The last axis of what a rewritten class returns, in terms of what it is made with."""
    saved, self.in_setup = self.in_setup, self.in_setup or site in self.setup_sites  # where the layer is made
    try:
      promised = self.promised_of(site)
    finally:
      self.in_setup = saved
    return promised[-1][0] if promised and promised[-1] else None

  def _step_of_layer(self: Unit, site: Site, told: list[tuple[Activation, int, Any]]) -> str | None:
    """The argument that is what every layer of the list returned."""
    outputs = [self.project.output_features(m) for _, _, m in told]
    for name, text in site.arguments.items():
      if name.endswith("features") and [getattr(m, name, None) for _, _, m in site.made] == outputs:
        return text
    return step_given(self, site.node, told, outputs) if site.record is None else None

  def chain_starts(self: Unit, firsts: list[tuple[Activation, Any, Any]]) -> list[str]:
    """Sizes of call arguments that are what the first layer of a list was given, in every instance."""
    found = []
    for token, sizes in self.token_values.items():
      if all(sizes.get(self.owner_key(a)) == v for a, _, v in firsts) and token.endswith("__1"):
        found.append(token)
    return found

  def _flow_candidates(self: Unit, site: Site, need: Need, call: ast.Call, values: list[Any]) -> list[str]:
    called = call.func.attr if isinstance(call.func, ast.Attribute) and self._is_method_call(call, site) else "__call__"
    if site.record is None and need.call_parameter is None and called == "__call__":
      return self._sizes_of_arguments(site, call, values)
    if site.record is None and called != need.method:
      return []
    node = self.argument(call, site, need.call_parameter)
    if node is None:
      return []
    if site.record is not None and need.axis is None:
      others = [a for a in [*call.args, *[k.value for k in call.keywords]] if a is not node]
      wanted = {v for v in values if v is not None}
      for other in others:
        seen = {e.value.shape[-1] for e in self.array_events(other) or [] if e.value.shape}
        found = self.dims(other) if seen and seen == wanted else None  # pyright: ignore
        if found and found[-1] and need.parameter != "in_features":
          return [c for c in found[-1] if self.holds(site, c, values)]
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
      sizes = [(e, e.value.shape[-j] if len(e.value.shape) >= j else None) for e in events]
      fits = all(by_module.get(id(e.activation)) in (None, n) or len(by_module) != len(site.made) for e, n in sizes)
      seen = {n for _, n in sizes}
      wanted = {v for v in values if v is not None}
      if j == need.axis or (fits and seen == wanted):
        offered = [c for c in dims[-j] if c not in found and self.holds(site, c, values)]
        found += [c for c in offered if j == need.axis or not need.axis or not self.counts_examples(c)]
    return found

  def _sizes_of_arguments(self: Unit, site: Site, call: ast.Call, values: list[Any]) -> list[str]:
    """Axes of the call's arguments that are what was hoisted in the layer's class, in every instance."""
    if any(type(v) is not int for v in values):
      return []
    by_owner = {self.owner_key(a): v for (a, _, _), v in zip(site.made, values, strict=True)}
    found: list[str] = []
    for node in [*call.args, *[k.value for k in call.keywords]]:
      events = [e for e in self.array_events(node) or [] if e.activation.initializing]
      dims = self.dims(node) if events else None
      for j, candidates in enumerate(reversed(dims or []), 1):
        if all(by_owner.get(self.owner_key(e.activation)) == e.value.shape[-j] for e in events):
          found += [c for c in candidates if self.holds(site, c, values)]
    return sorted(found, key=lambda c: ".shape[" in c)  # fields before what a layer's parameter tells

  def _is_method_call(self: Unit, call: ast.Call, site: Site) -> bool:
    assert isinstance(call.func, ast.Attribute)
    owners = self.events(call.func.value)
    return bool(owners) and any(
      e.value is m or self.same_origin(m, [e.value]) for e in owners[:1] for _, _, m in site.made
    )

  def holds(self: Unit, site: Site, text: str, values: list[Any]) -> bool:
    """Whether an expression over fields and sizes has the wanted value in every instance; locals are not checked."""
    if not closed(text):
      return True
    for (activation, _, _), wanted in zip(site.made, values, strict=True):
      if wanted is None:
        continue
      sizes = {t: v.get(self.owner_key(activation)) for t, v in self.token_values.items()}
      if any(sizes.get(n) is None for n in names_in(text) if n.startswith("SIZE__")) and self.token_values:
        return False  # a size that this instance never gets
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
      cls = next(iter(self.untraced_class(site.node)), None) if site.record is None else None
      order = parameters_of(cls, "__call__") if cls is not None else []
      order = list(site.record.call_positional) if site.record else order
    for keyword in call.keywords:
      if keyword.arg is not None and keyword.arg == parameter:
        return keyword.value
    if parameter is not None and parameter not in order and site.record is None:
      return None
    index = order.index(parameter) if parameter in order else 0
    if index < len(call.args) and not any(isinstance(a, ast.Starred) for a in call.args[: index + 1]):
      return call.args[index]
    return None


_HEADS = {"head", "heads", "nhead", "nheads"}
