"""Constructor calls as NNX has them."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from migrate.codemod.choices import chosen_sizes, is_choice
from migrate.codemod.names import lookup, spell
from migrate.codemod.remarks import Remark, layout_call, remarks_of, star_rows
from migrate.codemod.site import Site
from migrate.codemod.source import names_in
from migrate.codemod.stacks import AXIS_SIZE
from migrate.codemod.static import alone
from migrate.core.declare import LayerMapping
from migrate.core.report import Finding
from migrate.trace.facts import Activation, ArraySpec

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def outdented(text: str) -> str:
  """An expression of several lines as if it stood at the left margin."""
  first, *rest = text.split("\n")
  return "\n".join([first, *textwrap.dedent("\n".join(rest)).split("\n")]) if rest else first


class SiteLayers:
  """Writing constructor calls, mixed into `Unit`."""

  def last_made(self: Unit, found: list[tuple[Activation, int, Any]]) -> list[tuple[Activation, int, Any]]:
    """The list that `setup` made, without what it made anew for a lifted method, which then called those."""
    if not any((i and ".setup" in a.qualname) or ".setup.<locals>" in a.qualname for a, i, _ in found):
      return found
    called = {(self.owner_key(a), i) for a, i, m in found if self.project.calls_of(m)}
    return [f for f in found if (self.owner_key(f[0]), f[1]) not in called or self.project.calls_of(f[2])]

  def write_site(self: Unit, site: Site, width: int, indent: str = "") -> str:
    """The NNX constructor call."""
    if site.stack is None:
      return self._write_one(site, width, indent)
    (length, axes), outer, self.rngs_argument = site.stack, self.rngs_argument, "rngs"
    try:
      one = f"lambda rngs: {self._write_one(site, width, indent + self.step)}"
    finally:
      self.rngs_argument = outer
    rest = [f"axes={axes}"] if axes else []
    return layout_call(self.template("template:stack.stack"), [one, length, outer, *rest], indent, width)

  def _write_one(self: Unit, site: Site, width: int, indent: str) -> str:
    written = (site.home[0] if site.home else self.source).code(site.node)
    needs = [n for n in site.needs if not n.default or site.texts[n.parameter] != n.default]
    sizes = [(n.parameter, alone(site.texts[n.parameter], written)) for n in needs]
    rngs = self.rngs_argument
    if site.template:
      return f"{site.template}({rngs})"
    if site.factory is not None:
      return layout_call(self.callee(site), self.write_factory(site), indent, width)
    if site.record is None:
      function = self.callee(site)
      makers = self.fields_of_makers(site) - site.handed_on
      optional = self._sizes_by_name(site) | {AXIS_SIZE}
      by_name = (site.maker is not None and self.partial_positional(site.node.func) > 0) or is_choice(self, site)
      sizes = [(n, text) for n, text in sizes if n not in chosen_sizes(self, site)]
      arguments = [f"{n}={text}" if by_name else text for n, text in sizes if n not in optional]
      optional_arguments = [f"{n}={text}" for n, text in sizes if n in optional]
      positional = not self.partial_positional(site.node.func)
      count = len(site.node.args)
      origins: dict[int, str] = {}
      for i, (field, text) in enumerate(site.arguments.items()):
        origins[len(arguments)] = field
        text = alone(text, written)
        if field in makers:
          text = f"lambda rngs: {text}"
        if field == "**":
          arguments.append(f"**{text}")
        else:
          arguments.append(text if i < count and positional and self._in_order(site, i) else f"{field}={text}")
      arguments += optional_arguments
      if site.maker is None or not site.maker.local:
        arguments.append(f"rngs={rngs}")
      return layout_call(function, arguments, indent, width, *self._remarks(site, len(arguments), origins))
    stacked = dict(sizes).get(AXIS_SIZE)
    layer = self.write_layer(site, site.record, {n: t for n, t in sizes if n != AXIS_SIZE}, width, indent)
    if stacked is None:
      return layer
    return re.sub(
      rf"(\n *| )?rngs={rngs}", lambda m: f"{m[1] or ''}{AXIS_SIZE}={stacked},{m[1] or ' '}rngs={rngs}", layer
    )

  def _remarks(self: Unit, site: Site, count: int, origins: Mapping[int, str]) -> tuple[list[Remark | None], list[str]]:
    """The comments of the Linen call for the arguments as they are now; those of arguments that went stay as well."""
    source = site.home[0] if site.home is not None else self.source
    written, last = remarks_of(source, site.node)
    if not last and not any(written.values()):
      return [], []
    given = dict(self.given_arguments(site))
    found: list[Remark | None] = [None] * count
    pending: list[str] = []
    places = {field: i for i, field in origins.items()}
    for field, value in sorted(given.items(), key=lambda g: source.span(g[1])[0]):
      remark = written.get(value) or written.get(source.parents.get(value, value)) or Remark()
      if field in places:
        found[places[field]] = Remark([*pending, *remark.above], remark.trailing)
        pending = []
      else:
        pending += remark.every
    return found, [*pending, *last]

  def _in_order(self: Unit, site: Site, index: int) -> bool:
    given = [f for f, _ in self.given_arguments(site)][: index + 1]
    return all(f in site.arguments for f in given)

  def sizes_left_out(self: Unit, site: Site) -> set[str]:
    """Names of sizes that some instances hand a layer as None: the layer is made there too, without what needs them."""
    optional, names = self._optional_sizes(site), set()
    for need in site.needs:
      by_owner: dict[Any, list[Any]] = {}
      for (activation, _, _), value in zip(site.made, need.values, strict=True):
        by_owner.setdefault(self.owner_key(activation), []).append(value)
      if need.parameter in optional and any(all(v is None for v in values) for values in by_owner.values()):
        names |= names_in(site.texts.get(need.parameter, ""))
    return names

  def _optional_sizes(self: Unit, site: Site) -> set[str]:
    if site.maker is not None:
      return set()
    classes = {self.project.plain(type(m)) for _, _, m in site.made} or set(self.untraced_class(site.node))
    return {s.name for c in classes for s in self.project_sizes(c) if s.optional}

  def _sizes_by_name(self: Unit, site: Site) -> set[str]:
    """Those that a class takes by name."""
    if site.maker is not None:
      return set()
    classes = {self.project.plain(type(m)) for _, _, m in site.made} or set(self.untraced_class(site.node))
    return {s.name for c in classes for s in self.project_sizes(c) if s.by_name}

  def write_layer(
    self: Unit, site: Site, record: LayerMapping, sizes: Mapping[str, str], width: int, indent: str
  ) -> str:
    """An NNX layer by its record: names, order and defaults as NNX has them."""
    function, target = self.layer_callee(site, record)
    signature = inspect.signature(target.__init__) if target is not None else None
    accepted = list(signature.parameters.values())[1:] if signature else []
    positional = [p.name for p in accepted if p.kind is p.POSITIONAL_OR_KEYWORD]
    fates = {a.linen: a for a in record.args if a.linen is not None}
    stars: list[str] = []
    apart = False
    star_remarks: dict[int, Remark] = {}
    pairs: list[tuple[str, str, bool]] = [(n, t, True) for n, t in sizes.items()]
    origins: dict[int, str] = {}
    count, written = len(site.node.args), (site.home[0] if site.home else self.source).code(site.node)
    for i, (field, text) in enumerate(site.arguments.items()):
      arg = fates.get(field)
      if field == "**":
        stars.append(f"**{text}")
        continue
      if arg is None and any(self.project.stock_base(type(m)) is not None for _, _, m in site.made[:1]):
        origins[len(pairs)] = field
        pairs.append((field, text, False))  # a field that a subclass of the layer adds
        continue
      if arg is None or arg.fate == "ignore":
        continue
      if arg.fate == "refuse":
        if text in arg.allow or self._leaves_out(site, record, field, text):
          continue
        raise self.refusal(site.node, f"{record.linen}({field}={text})", "an argument that NNX has", arg.because)
      if arg.fate == "convert":
        text = self.template(arg.code.replace("{value}", text))
      name = arg.nnx or field
      if name.startswith("*"):
        for row, remark in star_rows(text):
          row = outdented(row)
          stars.append(row if row.endswith("\n)") else row.replace("\n", f"\n{indent}    "))
          star_remarks[len(stars)] = remark
        apart = len(stars) > 1 and "\n" in text
        continue
      origins[len(pairs)] = field
      pairs.append((name, alone(text, written), i < count))
    names = {n for n, _, _ in pairs}
    extra = [(a.nnx or "", a.code) for a in record.args if a.fate == "add"]
    extra += [
      (a.nnx or "", a.absent) for a in record.args if a.fate == "convert" and a.absent and a.linen not in site.arguments
    ]
    if record.exact is not None and (record.exact.when == "always" or self.exact or self._half(site)):
      extra += list(record.exact.args)
    for name, code in extra:
      if (
        name
        and code
        and name not in names
        and not (stars and stars[0].startswith("**"))
        and not self._in_partial(site, name)
      ):
        pairs.append((name, self.template(code), False))
        names.add(name)
    arguments: list[str] = []
    straight = True
    for i, (name, text, wants_position) in enumerate(pairs):
      straight = straight and wants_position and i < len(positional) and positional[i] == name
      arguments.append(text if straight else f"{name}={text}")
    own = len(arguments) - 1
    arguments += stars
    if record.takes_rngs and (signature is None or "rngs" in signature.parameters):
      arguments.append(f"rngs={self.rngs_argument}")
    remarks, last = self._remarks(site, len(arguments), origins)
    if any(star_remarks.values()):
      remarks = remarks or [None] * len(arguments)
      for i, remark in star_remarks.items():
        remarks[own + i] = remark
    return layout_call(function, arguments, indent, width, remarks, last, apart)

  def _leaves_out(self: Unit, site: Site, record: LayerMapping, field: str, text: str) -> bool:
    """Whether an argument that NNX lacks can go, with a finding: no example ever gave it a value."""
    if not site.made or any(getattr(m, field, field) is not None for _, _, m in site.made):
      return False
    self.note(Finding(self.where(site.node), f"{record.linen}({field}={text}) has no place in NNX", "an argument that NNX has",
                      f"it was None in every example and is left out: do without another {field}", "eye", "L2N117"))  # fmt: skip
    return True

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

  def layer_callee(self: Unit, site: Site, record: LayerMapping) -> tuple[str, Any]:
    """(what to call, the NNX class): the stock layer, a template, or the local or field that holds it."""
    full = self.resolve(site.node.func)
    if record.nnx.startswith("template:"):
      target = None
      text = self.template(record.nnx)
    else:
      target = lookup(record.nnx)
      text, _statement = spell(record.nnx)
    if full is not None and full.startswith("flax.linen."):
      if not record.nnx.startswith("template:"):
        self.need_import(spell(record.nnx)[1])
      return text, target
    return self.callee(site), target

  def callee(self: Unit, site: Site) -> str:
    """The text of what is called, for `__init__`."""
    return site.callee or self.static(site.node.func)
