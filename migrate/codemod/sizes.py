"""Sizes: which expression of `__init__` gives the size that an axis was seen to have.

Data flow first: an array's axes are carried from operand to result wherever the sizes agree in every event of every
trace, so that no function of jax.numpy needs a model. Then the one field or attribute of a config that had the value
in every instance. Then a hoisted argument.
"""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from migrate.codemod.method_sizes import MethodSizes
from migrate.codemod.project import Event, is_array
from migrate.codemod.scope import Dims
from migrate.codemod.source import dotted, names_in

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

Values = list[tuple[Event, int]]
TOKEN = re.compile(r"\bSIZE__(\w+?)__(\d+)\b")


def token(parameter: str, axis: int) -> str:
  """Stands for the size of a call argument's axis (counted from the last, 1) until it gets its name."""
  return f"SIZE__{parameter}__{axis}"


def _align(values: Sequence[tuple[Event, Any]], like: Sequence[Event]) -> list[Any] | None:
  """For every event, the last value seen before it in the same activation; None where one is missing."""
  by_activation: dict[int, list[tuple[int, Any]]] = {}
  for event, value in values:
    by_activation.setdefault(id(event.activation), []).append((event.order, value))
  found = []
  for event in like:
    before = [v for o, v in by_activation.get(id(event.activation), ()) if o <= event.order]
    if not before:
      return None
    found.append(before[-1])
  return found


class Sizes(MethodSizes):
  """Axes of array expressions, mixed into `Unit`."""

  def array_events(self: Unit, node: ast.AST) -> list[Event] | None:
    """The events of an expression if all of them were arrays."""
    events = self.events(node)
    return events if events and all(is_array(e.value) for e in events) else None

  def dims(self: Unit, node: ast.AST) -> Dims | None:
    """Candidates for every axis of an array expression, or None where it isn't one."""
    known = self._dims.get(node)
    if known is not None:
      return known
    if isinstance(node, ast.Name) and node.id in self.env:
      local = self.env[node.id]
      if local.kind == "array" and local.dims is not None:
        return local.dims
      if local.kind != "array":
        return None
    events = self.array_events(node)
    result = self._untraced(node) if events is None else self._flow(node, events)
    if result is not None:
      self._dims[node] = result
    return result

  def _untraced(self: Unit, node: ast.AST) -> Dims | None:
    if self.events(node):
      return None
    if isinstance(node, ast.BinOp):
      left, right = self.dims(node.left), self.dims(node.right)
      return left if left is not None and (right is None or len(left) >= len(right)) else right
    site = self._site_called(node)
    if site is not None and site.arguments.get("features"):
      return [[site.arguments["features"]]]
    if site is not None and site.record is not None and isinstance(node, ast.Call) and node.args:
      return self.dims(node.args[0])  # norms and dropout change no size
    if site is not None and site.record is None:
      return self.promised_of(site)
    if isinstance(node, ast.Call) and len(node.args) >= 1 and not isinstance(node.args[0], ast.Starred):
      text = ast.unparse(node.func).rpartition(".")[2]
      if text in _ELEMENTWISE:
        return self.dims(node.args[0])
    return None

  def _flow(self: Unit, node: ast.AST, events: list[Event]) -> Dims:
    rank = min(len(e.value.shape) for e in events)
    operands: list[tuple[list[str], list[int]]] = []
    same: dict[int, list[tuple[list[str], list[int]]]] = {}
    added: dict[int, list[tuple[list[str], list[int]]]] = {}
    statics: list[tuple[list[str], list[int]]] = []
    products: list[tuple[list[str], list[int]]] = []
    for part in self._parts(node):
      inner = self.array_events(part)
      if inner is not None:
        dims = self.dims(part)
        if not dims:
          continue
        aligned: list[list[int] | None] = []
        for j in range(1, len(dims) + 1):
          sizes = [(e, e.value.shape[-j]) for e in inner if len(e.value.shape) >= j]
          aligned.append(_align(sizes, events))
        for j, sizes in enumerate(aligned, 1):
          if sizes is not None:
            same.setdefault(j, []).append((dims[-j], sizes))
            operands.append((dims[-j], sizes))
            if not self._only_measured(part):
              added.setdefault(j, []).append((dims[-j], sizes))
        for a, b in itertools.combinations(range(1, len(dims) + 1), 2):
          run = aligned[a - 1 : b]
          if b - a >= 1 and all(r is not None for r in run) and all(dims[-j] for j in range(a, b + 1)):
            text = " * ".join(_wrap(dims[-j][0]) for j in range(b, a - 1, -1))
            totals = [_product(t) for t in zip(*[r for r in run if r is not None], strict=True)]
            products.append(([text], totals))
      elif isinstance(part, ast.expr) and not isinstance(part, ast.Constant):
        found = self.events(part)  # pyright: ignore
        if found and all(type(e.value) is int for e in found):  # pyright: ignore
          text = self.try_static(part)
          sizes = _align([(e, e.value) for e in found], events)  # pyright: ignore
          if text is not None and sizes is not None:
            statics.append(([text], sizes))
    statics += self._layer_numbers(node, events)
    promised = self._promised(node)
    result: Dims = []
    for j in range(rank, 0, -1):
      wanted = [e.value.shape[-j] for e in events]
      pool = same.get(j, []) + statics + operands
      for (a, x), (b, y) in itertools.combinations(added.get(j, []), 2):
        if a and b:
          pool.append(([f"{a[0]} + {b[0]}"], [p + q for p, q in zip(x, y, strict=True)]))
      pool += products
      found: list[str] = list(promised[-j]) if promised is not None and j <= len(promised) else []
      for candidates, sizes in pool:
        if sizes == wanted:
          found += [c for c in candidates if c not in found]
      if j < rank:  # the first axis counts examples: what equals it elsewhere does so by chance
        found = [c for c in found if not self.counts_examples(c)]
      if not found and set(wanted) == {1}:
        found = ["1"]
      result.append(found)
    if result and (features := self._own_features(node, [e.value.shape[-1] for e in events])) is not None:
      result[-1] = [features]  # not what happens to be as large
    return result

  def counts_examples(self: Unit, text: str) -> bool:
    """Whether the first axis of a call argument, of several, occurs in an expression."""
    for match in TOKEN.finditer(text):
      rank = self.token_rank.get(match.group(0), 1)
      if rank > 1 and int(match.group(2)) == rank:
        return True
    return False

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
      return next((s for s in self.setup_sites if s.attr == node.func.attr), None)
    for site in self.setup_sites:
      if called and any(m is called[0] or self.same_origin(m, called[:1]) for _, _, m in site.made):
        return site
    return None

  def _layer_numbers(self: Unit, node: ast.AST, events: list[Event]) -> list[tuple[list[str], list[int]]]:
    """Numbers that the called layer was made with: they may be sizes of what it returns."""
    site = self._site_called(node)
    if site is None or not isinstance(node, ast.Call):
      return []
    called = [(e, e.value) for e in self.events(node.func)]
    found = []
    for name, text in site.arguments.items():
      if self.in_setup or site in self.setup_sites:
        if not closed(text):
          continue
      values = [(e, getattr(m, name, None)) for e, m in called]
      if values and all(type(v) is int for _, v in values):
        sizes = _align(values, events)
        if sizes is not None:
          found.append(([text], sizes))
    return found

  def _own_features(self: Unit, node: ast.AST, sizes: list[int]) -> str | None:
    """The constructor argument that sets the last axis of what the called layer returns, by the layer's record."""
    site = self._site_called(node)
    if site is None or site.record is None or not site.made:
      return None
    name = site.record.output.rpartition(" ")[2]
    field = next((a.linen for a in site.record.args if a.linen is not None and (a.nnx or a.linen) == name), None)
    text = site.arguments.get(field) if field is not None else None
    if text is None or ((self.in_setup or site in self.setup_sites) and not closed(text)):
      return None
    given = {getattr(m, field, None) for _, _, m in site.made}  # pyright: ignore
    return text if set(sizes) <= given else None

  def _promised(self: Unit, node: ast.AST) -> Dims | None:
    """Sizes of what a rewritten class returns, in terms of what it is made with here."""
    site = self._site_called(node)
    return self.promised_of(site) if site is not None else self.method_result(node)

  def promised_of(self: Unit, site: Any) -> Dims | None:
    """As `_promised`, for a construction site."""
    classes = {type(m) for _, _, m in site.made} or set(self.untraced_class(site.node)[:1])
    if site.record is not None or len(classes) != 1:
      return None
    cls = classes.pop()
    result = next(
      (self.results[b] for b in cls.__mro__ if b in self.results and "__call__" in self.results[b].outputs), None
    )
    if result is None:
      return None
    defaults = {
      f.name: f.default for b in cls.__mro__ for i in [self.project.info(b)] if i is not None for f in i.fields
    }
    known = {s.name for s in result.sizes}
    dims: Dims = []
    for axis in result.outputs["__call__"]:
      texts = []
      for candidate in axis:
        text: str | None = candidate
        for name in set(re.findall(r"\bself\.(\w+)", candidate)):
          given = site.arguments.get(name) or defaults.get(name)
          text = (
            re.sub(rf"\bself\.{name}\b", lambda _, g=given: _wrap(g), text)
            if given is not None and text is not None
            else None
          )
        for name in names_in(candidate) - {"self"}:
          given = site.texts.get(name) if name in known else None
          text = (
            re.sub(rf"\b{name}\b", lambda _, g=given: _wrap(g), text)
            if given is not None and text is not None
            else None
          )
        if text is not None and self.available(text):
          texts.append(text)
      dims.append(texts)
    return dims

  def _parts(self: Unit, node: ast.AST) -> Iterable[ast.AST]:
    """Expressions inside `node` that carry axes: names and calls already known, and integers."""
    queue = list(ast.iter_child_nodes(node))
    while queue:
      child = queue.pop(0)
      known = self.dims(child) if isinstance(child, ast.Call) else self._dims.get(child)
      if known is None or not all(known):  # what is inside an operand that is known adds coincidences
        queue += ast.iter_child_nodes(child)
      if isinstance(child, ast.expr) and (
        known is not None or isinstance(child, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp)
      ):
        yield child

  def _only_measured(self: Unit, node: ast.AST) -> bool:
    """Whether only the shape of an operand is read here."""
    parent = self.source.parents.get(node)
    return isinstance(parent, ast.Attribute) and parent.attr in ("shape", "ndim", "dtype", "size")

  def likely_sizes(self: Unit, module: Any) -> list[str]:
    """Fields and attributes of configs that sound like a number of features, likeliest first."""
    found: list[tuple[int, str]] = []
    for name in self.field_names:
      value = getattr(module, name, None)
      if type(value) is int:
        found.append((_likeness(name), f"self.{name}"))
      elif _is_config(value):
        for attribute in _attributes(value):
          if type(_attribute(value, attribute)) is int:
            found.append((_likeness(attribute), f"self.{name}.{attribute}"))
    return [text for rank, text in sorted(found, key=lambda f: -f[0]) if rank > 0]

  def matches(self: Unit, wanted: Sequence[tuple[Any, int]]) -> list[tuple[int, str]]:
    """(rank, expression) of fields and attributes of configs that equal the wanted size in every instance.

    Args:
      wanted: (module instance, size) pairs.
    """
    found: list[tuple[int, str]] = []
    for name in self.field_names:
      values = [(getattr(m, name, None), w) for m, w in wanted]
      if all(type(v) is int and v == w for v, w in values):
        found.append((_likeness(name) + 1, f"self.{name}"))
      elif all(type(v) in (tuple, list) and v for v, _ in values):
        for index in (0, -1):
          if all(type(v[index]) is int and v[index] == w for v, w in values):  # pyright: ignore
            found.append((_likeness(name) - 2, f"self.{name}[{index}]"))
      elif all(_is_config(v) for v, _ in values):
        for attribute in _attributes(values[0][0]):
          read = [(_attribute(v, attribute), w) for v, w in values]
          if all(type(v) is int and v == w for v, w in read):
            text = f"self.{name}[{attribute!r}]" if isinstance(values[0][0], dict) else f"self.{name}.{attribute}"
            found.append((_likeness(attribute) + 3, text))
    return sorted(found, key=lambda f: -f[0])


_ELEMENTWISE = {
  "relu", "gelu", "silu", "swish", "tanh", "sigmoid", "elu", "leaky_relu", "softplus", "softmax", "asarray", "exp",
  "normalize", "dropout", "activation", "act",
}  # fmt: skip
_SIZE_WORDS = {
  "hidden", "dim", "dims", "feature", "features", "channel", "channels", "width", "embed", "embedding", "size", "model",
  "units", "filters", "embd", "emb", "inner", "intermediate", "mlp", "ffn", "latent",
}  # fmt: skip
_INPUT_WORDS = {"in", "input", "inputs"}
_OTHER_WORDS = {
  "num", "n", "max", "min", "vocab", "head", "heads", "layer", "layers", "kernel", "position", "positions", "patch",
  "image", "length", "len", "token", "tokens", "type", "depth", "steps", "batch", "id", "groups", "ratio", "stride",
}  # fmt: skip


def _likeness(name: str) -> int:
  """How much a name sounds like a number of features."""
  words = set(re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower().split("_"))
  if words & _INPUT_WORDS and words & _SIZE_WORDS and not words & _OTHER_WORDS:
    return 5  # it says that it is what goes in
  if name.lower() in (
    "n_embd",
    "n_inner",
    "n_hidden",
    "n_features",
    "num_features",
    "num_filters",
    "num_channels",
    "d_model",
    "n_channels",
  ):
    return 2
  return (2 if words & _SIZE_WORDS else 0) - 3 * len(words & _OTHER_WORDS)


def _is_config(value: Any) -> bool:
  if value is None or isinstance(value, str | int | float | tuple | list | type) or callable(value):
    return False
  return bool(_attributes(value))


def _attributes(value: Any) -> list[str]:
  if isinstance(value, dict):
    return [k for k, v in value.items() if isinstance(k, str) and type(v) is int]
  slots = getattr(value, "__dict__", None)
  if not isinstance(slots, dict):
    return []
  names = [k for k in slots if not k.startswith("_")]
  for cls in type(value).__mro__[:-1]:
    names += [k for k, v in vars(cls).items() if isinstance(v, property) and k not in names and not k.startswith("_")]
    mapped = vars(cls).get("attribute_map")
    if isinstance(mapped, dict):
      names += [k for k in mapped if k not in names]
  return names


def _attribute(value: Any, name: str) -> Any:
  try:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)
  except Exception:  # a property of someone's config may fail
    return None


def _wrap(text: str) -> str:
  return text if re.fullmatch(r"[\w.]+|\([^()]*\)", text) else f"({text})"


def _product(numbers: Iterable[int]) -> int:
  total = 1
  for n in numbers:
    total *= n
  return total


def closed(text: str) -> bool:
  """Whether an expression reads only fields, constants and sizes of arguments."""
  return all(n == "self" or TOKEN.fullmatch(n) for n in names_in(text))
