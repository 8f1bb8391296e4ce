"""Sizes of what layers return: from the arguments that they are made with."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.closed_sizes import branch_of, may_be_none
from migrate.codemod.project import Event
from migrate.codemod.scope import Dims
from migrate.codemod.sizes_pool import align, replaced, wrap
from migrate.codemod.source import dotted, names_in

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_WRAPPED = {"layer_instance", "cell", "forward_rnn", "backward_rnn"}


class LayerSizes:
  """Sizes through layers, mixed into `Unit` as a part of `Sizes`."""

  def _calls_layer(self: Unit, node: ast.AST) -> bool:
    site = self._site_called(node)
    return site is not None and site.record is not None

  def _own_features(self: Unit, node: ast.AST, events: list[Event], axis: int) -> list[str]:
    """The constructor argument that sets an axis of what the called layer returns, by the layer's record."""
    site = self._site_called(node)
    if site is None or not site.made or not isinstance(node, ast.Call):
      return []
    if site.pipeline:
      if axis > 1:
        return []
      local = self.env.get(site.pipeline)
      return [c for c in local.dims[0] if self.readable_at(site, c)] if local is not None and local.dims else []
    told = [self._features_of(inner, axis) for inner in self._wrapped_by(site)]
    if any(not text for text, _ in told):
      return []
    texts = [text for text, _ in told]
    given = (
      {g for _, values in told for g in values}
      if len(told) == 1
      else {sum(g) for g in zip(*[v for _, v in told], strict=False)}
    )
    text = texts[0] if len(texts) == 1 else f"2 * {wrap(texts[0])}" if texts[0] == texts[-1] else " + ".join(texts)
    return [text] if {e.value.shape[-axis] for e in events} <= given else []

  def _features_of(self: Unit, site: Any, axis: int) -> tuple[str, list[Any]]:
    """The argument of a layer that sets an axis of its output, and what it was for every layer; empty where none does."""
    record = site.record or (self.project.record(type(site.made[0][2])) if (site.factory or site.maker) else None)
    if record is None:
      return "", []
    name = record.output.rpartition(" ")[2]
    field = next((a.linen for a in record.args if a.linen is not None and (a.nnx or a.linen) == name), None)
    if field is None and issubclass(type(site.made[0][2]), nn.RNNCellBase):
      field = "features"
    if field is None and axis == 1 and (told := site.texts.get(name)) in self.hoists:
      return told, next((list(n.values) for n in site.needs if n.parameter == name), [])  # a norm keeps what it is told
    text = (site.arguments.get(field) or site.partial.get(field)) if field is not None else None
    if text is None or not self.readable_at(site, text):
      return "", []
    if self.in_setup or site in self.setup_sites:
      text = self.in_setup_terms(site, text)
    given = [getattr(m, str(field), None) for _, _, m in site.made]
    if text is not None and all(isinstance(g, tuple | list) for g in given):
      return _item(text, axis) or "", [g[-axis] if len(g) >= axis else None for g in given]  # pyright: ignore
    return (text, given) if text and axis == 1 else ("", [])

  def _wrapped_by(self: Unit, site: Any) -> list[Any]:
    """The layers whose outputs `nn.WeightNorm(nn.Dense(4))` or a bidirectional RNN returns; other sites themselves."""
    names = {name for name, _ in site.record.children} & _WRAPPED if site.record is not None else set()
    given = [v for f, v in self.given_arguments(site) if f in names] if names else []
    given = [self.inlined.get(v.id, v) if isinstance(v, ast.Name) else v for v in given]
    named = {n: local.target for n, local in self.env.items() if local.target in self.sites.values()}
    inner = [s for v in given for s in [*self.inner_sites, *self.setup_sites] if s.node is v]
    inner += [named[v.id] for v in given if isinstance(v, ast.Name) and v.id in named]
    found = [deeper for s in inner for deeper in self._wrapped_by(s)]
    return found if names and len(inner) == len(names) else [site]

  def _site_called(self: Unit, node: ast.AST) -> Any:
    """The construction site behind a call of a layer, if it is one of this class."""
    if not isinstance(node, ast.Call):
      return None
    if node.func in self.sites:
      return self.sites[node.func]
    local = self.env.get(node.func.id) if isinstance(node.func, ast.Name) else None
    if local is not None and local.kind == "site":
      return local.target
    called = [e.value for e in self.events(node.func)]
    if not called and isinstance(node.func, ast.Attribute) and dotted(node.func.value) == self.self_name:
      named = [s for s in self.setup_sites if s.attr == node.func.attr]
      return next((s for s in sorted(named, key=lambda s: bool(s.made))), None)
    for site in self.setup_sites:
      if called and any(m is called[0] or self.same_origin(m, called[:1]) for _, _, m in site.made):
        return site
    return None

  def _layer_numbers(self: Unit, node: ast.AST, events: list[Event]) -> list[tuple[list[str], list[int]]]:
    """Numbers that the called layer was made with: they may be sizes of what it returns."""
    node, _ = taken_from(node)
    site = self._site_called(node)
    if site is None or not isinstance(node, ast.Call):
      return []
    called = [(e, e.value) for e in self.events(node.func)]
    found = []
    for name, text in (site.partial | site.arguments).items():
      if site.record is not None and not name.endswith("features"):
        continue  # `num_groups` of a stock layer is no size
      if self.in_setup or site in self.setup_sites:
        text = self.in_setup_terms(site, text)
        if text is None:
          continue
      values = [(e, getattr(m, name, None)) for e, m in called]
      for item, numbers in [(text, values), *_items(text, values)]:
        if numbers and all(type(v) is int for _, v in numbers):
          sizes = align(numbers, events)
          if sizes is not None:
            found.append(([item], sizes))
    return found

  def _promised(self: Unit, node: ast.AST, item: int | None = None) -> Dims | None:
    """Sizes of what a rewritten class returns, or of an item of that, in terms of what it is made with here."""
    site = self._site_called(node)
    suffix = "" if item is None else f"[{item}]"
    if site is None:
      return self.method_result(node, suffix) or self.super_result(node, suffix)
    promised = self.promised_of(site, f"__call__{suffix}")
    told = self._told_by_element(node, f"__call__{suffix}") if site in self.setup_sites and self.loops else None
    return [own or other for own, other in zip(promised, told, strict=True)] if promised and told else promised

  def _told_by_element(self: Unit, node: ast.AST, output: str) -> Dims | None:
    """Sizes of what a layer of a list returns, read off the layer: `block.width` in `for block in self.blocks:`."""
    called = node.func if isinstance(node, ast.Call) else None
    classes = {type(e.value) for e in self.events(called)} if called is not None else set()
    owner = self.try_static(called) if called is not None and len(classes) == 1 else None
    result = self.results.get(next(iter(classes))) if owner is not None else None
    if owner is None or result is None or output not in result.outputs:
      return None
    fields = {f"self.{f.name}" for f in result.info.fields}
    return [[f"{owner}.{c[5:]}" for c in axis if c in fields] for axis in result.outputs[output]]

  def promised_of(self: Unit, site: Any, output: str = "__call__") -> Dims | None:
    """As `_promised`, for a construction site."""
    classes = {type(m) for _, _, m in site.made} or set(self.untraced_class(site.node)[:1])
    if site.record is not None or len(classes) != 1:
      return None
    cls = classes.pop()
    result = next(
      (self.results[b] for b in cls.__mro__ if b in self.results and output in self.results[b].outputs), None
    )
    if result is None:
      return None
    defaults = {
      f.name: f.default for b in cls.__mro__ for i in [self.project.info(b)] if i is not None for f in i.fields
    }
    known = {s.name for s in result.sizes}
    left = {name for name, given in site.arguments.items() if may_be_none(self, given)}
    dims: Dims = []
    for axis in result.outputs[output]:
      texts = []
      for candidate in axis:
        told = branch_of(candidate, [m for _, _, m in site.made], left) if site.made else candidate
        text: str | None = told
        for name in set(re.findall(r"\bself\.(\w+)", told)):
          given = site.arguments.get(name) or self._read_back(site, name) or defaults.get(name)
          given = given or (self._attribute_of(site, name) if f"self.{name}.shape[" in told else None)
          text = replaced(text, rf"\bself\.{name}\b", given) if given is not None and text is not None else None
        shared = {n for n in names_in(told) if n not in known and self.of_the_file(n)}
        plain = set(filter(self.of_python, names_in(told)))
        for name in names_in(told) - plain - {"self", *(shared if result.info.source is self.source else ())}:
          given = site.texts.get(name) if name in known else None
          text = replaced(text, rf"\b{name}\b", given) if given is not None and text is not None else None
        if text is not None and site in self.setup_sites and not self.in_setup:
          text = self.in_setup_terms(site, text)
        if text is not None and site.looped:  # the layer is in its list by now
          text = text.replace(f"[len(self.{site.attr})]", f"[len(self.{site.attr}) - 1]")
        if text is not None and self.available(text):
          texts.append(_picked(text))
      dims.append(texts)
    return dims

  def _read_back(self: Unit, site: Any, field: str) -> str | None:
    """A field of a layer that got its arguments in a dict: the layer itself tells it."""
    if "**" not in site.arguments:
      return None
    return self._attribute_of(site, field) or f"{field}_of_a_dict"  # no name that can be read

  def _attribute_of(self: Unit, site: Any, name: str) -> str | None:
    """An attribute of a layer that `__init__` has made."""
    if self.in_setup or not site.attr or site in self.setup_sites:
      return None
    return f"self.{site.attr}[-1].{name}" if site.looped else f"self.{site.attr}.{name}"


def taken_from(node: ast.AST) -> tuple[ast.AST, int | None]:
  """The call behind `layer(x)[0]`, and which item of what it returns is meant."""
  index = node.slice if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call) else None
  if isinstance(index, ast.Constant) and type(index.value) is int:
    return node.value, index.value  # pyright: ignore[reportAttributeAccessIssue]
  return node, None


def _picked(text: str) -> str:
  """`(16, 24)[-1]` is `24`, `tuple(self.sizes)[-1]` is `self.sizes[-1]`."""
  match = re.fullmatch(r"(\(.*\)|\[.*\])\[-(\d)\]", text, re.S)
  item = _item(match[1], int(match[2])) if match is not None else None
  if item is not None:
    return item
  copied = re.fullmatch(r"\(?(?:tuple|list)\((?:(?:tuple|list)\()?([\w.]+)\)+\[(-\d)\]", text)
  return f"{copied[1]}[{copied[2]}]" if copied is not None else text


def _item(text: str, axis: int) -> str | None:
  """The text of an item, counted from the last, of a tuple or list: its own where it is written out."""
  try:
    tree = ast.parse(text, mode="eval").body
  except SyntaxError:
    return None
  if isinstance(tree, ast.Tuple | ast.List):
    starred = any(isinstance(e, ast.Starred) for e in tree.elts[-axis:])
    return ast.get_source_segment(text, tree.elts[-axis]) if not starred and len(tree.elts) >= axis else None
  return f"{text}[-{axis}]" if isinstance(tree, ast.Name | ast.Attribute) else None


def _items(text: str, values: list[tuple[Event, Any]]) -> list[tuple[str, list[tuple[Event, Any]]]]:
  """The items of a tuple of numbers such as a shape, from the last on: (text, values)."""
  lengths = {len(v) if isinstance(v, tuple | list) else 0 for _, v in values}
  found = []
  for axis in range(1, lengths.pop() + 1) if len(lengths) == 1 else ():
    item = _item(text, axis)
    if item is not None:
      found.append((item, [(e, v[-axis]) for e, v in values]))
  return found


def items_of(text: str) -> list[str]:
  """The texts of the items of a tuple or list that is written out; else the text itself."""
  tree = ast.parse(text, mode="eval").body
  if isinstance(tree, ast.Tuple | ast.List) and not any(isinstance(e, ast.Starred) for e in tree.elts):
    return [ast.get_source_segment(text, e) or "" for e in tree.elts]
  return [text]
