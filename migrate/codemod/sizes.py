"""Sizes: which expression of `__init__` gives the size that an axis was seen to have.

Data flow first: an array's axes are carried from operand to result wherever the sizes agree in every event of every
trace, so that no function of jax.numpy needs a model. Then the one field or attribute of a config that had the value
in every instance. Then a hoisted argument.
"""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migrate.codemod.items import item_of
from migrate.codemod.layer_sizes import LayerSizes, items_of, taken_from
from migrate.codemod.method_sizes import MethodSizes
from migrate.codemod.none_states import state_dims
from migrate.codemod.project import Event, is_array
from migrate.codemod.put_together import put_together
from migrate.codemod.reshaped import named_axes
from migrate.codemod.scope import Dims, Local, Stmt
from migrate.codemod.sizes_pool import TOKEN, Pool, align, literals
from migrate.codemod.source import dotted, names_in
from migrate.codemod.supers import Supers
from migrate.codemod.transposed import transposed
from migrate.codemod.untraced_dims import untraced_dims

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

Values = list[tuple[Event, int]]


def token(parameter: str, axis: int) -> str:
  """Stands for the size of a call argument's axis (counted from the last, 1) until it gets its name."""
  return f"SIZE__{parameter}__{axis}"


class Sizes(MethodSizes, LayerSizes, Supers):
  """Axes of array expressions, mixed into `Unit`."""

  def array_events(self: Unit, node: ast.AST) -> list[Event] | None:
    """The events of an expression if all of them were arrays."""
    events = self.events(node)
    return events if events and all(is_array(e.value) for e in events) else None

  def dims(self: Unit, node: ast.AST) -> Dims | None:
    """Candidates for every axis of an array expression, or None where it isn't one."""
    known = self._dims.get(node) or item_of(self, node)
    if known is not None:
      return known
    if isinstance(node, ast.Name) and node.id in self.env:
      local = self.env[node.id]
      if local.kind == "array" and local.dims is not None:
        return local.dims
      if (state := state_dims(self, node)) is not None:
        return state
      if local.kind != "array":
        return None
    events = self.array_events(node)
    if events is not None and isinstance(node, ast.Subscript | ast.Call):
      size = self._size_in_list(node)
      if size is not None:
        rank = min(len(e.value.shape) for e in events)
        self._dims[node] = [*([] for _ in range(rank - 1)), [size]]
        return self._dims[node]
    result = self._untraced(node) if events is None else self._flow(node, events)
    if result is not None and (moved := transposed(self, node)) is not None and len(moved) == len(result):
      result = [own or seen for own, seen in zip(moved, result, strict=True)]
    if isinstance(node, ast.IfExp) and result is not None:
      result = self.either(node, result)
    kept = {f"self.{f}" for f in self.field_names if f not in self.call_fields}
    if result is not None and isinstance(node, ast.Attribute) and dotted(node) in kept:
      result = [axis or [f"self.{node.attr}.shape[{i - len(result)}]"] for i, axis in enumerate(result)]
    if result is not None and isinstance(node, ast.Attribute) and dotted(node) == f"self.{node.attr}":
      shape = self.array_dims.get(node.attr, [])
      result = (
        [named or axis for named, axis in zip(shape, result, strict=True)] if len(shape) == len(result) else result
      )
    if result is not None:
      self._dims[node] = result
    return result

  def _size_in_list(self: Unit, node: ast.Subscript | ast.Call) -> str | None:
    """The last axis of `skips[i]` or `skips.pop()`, where `__init__` keeps a list of last axes."""
    owner = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
    owner = node.value if isinstance(node, ast.Subscript) else owner
    local = self.env.get(owner.id) if isinstance(owner, ast.Name) else None
    if local is None or local.kind != "arrays" or not isinstance(owner, ast.Name):
      return None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr != "pop":
      return None
    text = self.static_sizes(node)
    if text is None or isinstance(node, ast.Subscript):
      return text
    self.rebinding(owner.id)
    fresh, i = f"{owner.id}_features", 1
    while fresh in self.env or fresh in self.parameters:
      i += 1
      fresh = f"{owner.id}_features_{i}"
    taken = Stmt(lambda: f"{fresh} = {text}", frozenset({fresh}), mutates=owner.id)
    around = [n for n in self.source.enclosing(node) if isinstance(n, ast.Call)]
    makers = [s.statement for n in around if (s := self._site_called(n)) is not None and s.statement in self.block]
    if makers:  # the layer that is given it is made after it
      self.block.insert(min(map(self.block.index, makers)), taken)
      self.bound_names = self.bound_names | {fresh}
    else:
      self.block.append(taken)
    self.env[fresh] = Local("static", None)
    return fresh

  def _untraced(self: Unit, node: ast.AST) -> Dims | None:
    if self.events(node):
      return None
    if isinstance(node, ast.BinOp):
      left, right = self.dims(node.left), self.dims(node.right)
      return left if left is not None and (right is None or len(left) >= len(right)) else right
    site = self._site_called(node)
    features = site.arguments.get("features") or site.partial.get("features") if site is not None else None
    if features:
      return [[c] for c in items_of(features)]
    if site is not None and site.record is not None and isinstance(node, ast.Call) and node.args:
      return self.dims(node.args[0])  # norms and dropout change no size
    if site is not None and site.record is None:
      return self.promised_of(site)
    if isinstance(node, ast.Call) and len(node.args) >= 1 and not isinstance(node.args[0], ast.Starred):
      text = ast.unparse(node.func).rpartition(".")[2]
      if text in _ELEMENTWISE:
        return self.dims(node.args[0])
    return untraced_dims(self, node)

  def _flow(self: Unit, node: ast.AST, events: list[Event], item: int | None = None) -> Dims:
    rank = min(len(e.value.shape) for e in events)
    pool = self._pool(node, events)
    promised = self._promised(*taken_from(node)) if item is None else self._promised(node, item)
    named = named_axes(self, node, rank) if item is None else {}
    result: Dims = []
    for j in range(rank, 0, -1):
      wanted = [e.value.shape[-j] for e in events]
      found: list[str] = list(promised[-j]) if promised is not None and j <= len(promised) else []
      found += [named[j]] if j in named else []
      own = self._own_features(node, events, j)
      found += [c for c in own if c not in found]
      for candidates, sizes in pool.of(j):
        if sizes == wanted and not own:  # else not what happens to be as large
          found += [c for c in candidates if c not in found]
      if j in named:  # sums and products that are as large are so by chance
        found = [c for c in found if c == named[j] or " " not in c]
      if j < rank:  # the first axis counts examples: what equals it elsewhere does so by chance
        found = [c for c in found if not self.counts_examples(c)]
      if not found and set(wanted) == {1}:
        found = ["1"]
      result.append(sorted(found, key=self._reads_list))
    return result

  def _reads_list(self: Unit, text: str) -> bool:
    """Whether an expression reads a list of sizes, which goes on growing: it is the last choice."""
    return any((local := self.env.get(n)) is not None and local.kind == "arrays" for n in names_in(text))

  def _pool(self: Unit, node: ast.AST, events: list[Event]) -> Pool:
    """What an expression's operands offer for the axes of its result."""
    name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    pool = Pool(joins=not self._calls_layer(node), concatenates="concat" in name.rpartition(".")[2])
    for part in self._parts(node):
      inner = self.array_events(part)
      if inner is not None:
        dims = self.dims(part)
        if not dims:
          continue
        aligned: list[list[int] | None] = []
        for j in range(1, len(dims) + 1):
          sizes = [(e, e.value.shape[-j]) for e in inner if len(e.value.shape) >= j]
          aligned.append(align(sizes, events))
        pool.add_operand(dims, aligned)
      elif isinstance(part, ast.expr):
        found = self.events(part)
        if isinstance(self.source.parents.get(part), ast.Starred) and found:
          self._unpacked_axes(part, found, events, pool)
        if isinstance(part, ast.Name) and found:
          self._named_axes(part, found, events, pool)
        if found and all(type(e.value) is int for e in found):
          text = self.try_static(part)
          sizes = align([(e, e.value) for e in found], events)
          if text is not None and sizes is not None:
            pool.statics.append(([text], sizes))
    pool.statics += self._layer_numbers(node, events)
    put_together(self, node, events, pool)
    pool.literals += [([str(n)], [n] * len(events)) for n in literals(node)]
    return pool

  def _unpacked_axes(self: Unit, node: ast.expr, found: list[Event], events: list[Event], pool: Pool) -> None:
    """The last axes of `x.reshape(n, *self.shape)`: the items of what is unpacked at the end of a shape."""
    star = self.source.parents[node]
    around = self.source.parents.get(star)
    items = around.elts if isinstance(around, ast.Tuple | ast.List) else getattr(around, "args", [])
    text = self.try_static(node) if items and items[-1] is star else None
    if text is None or not re.fullmatch(r"[\w.]+", text) or not all(isinstance(e.value, tuple | list) for e in found):
      return
    for j in range(1, min(len(e.value) for e in found) + 1):
      sizes = align([(e, e.value[-j]) for e in found], events)
      if sizes is not None and all(type(s) is int for s in sizes):
        pool.same.setdefault(j, []).append(([f"{text}[-{j}]"], sizes))

  def _named_axes(self: Unit, node: ast.Name, found: list[Event], events: list[Event], pool: Pool) -> None:
    """The last axes of a shape with a name (`shape = self.kernel_size + (size, self.features)`), where they are fields."""
    local = self.env.get(node.id)
    made = local.node if local is not None and local.kind == "static" and self.assigned[node.id] == 1 else None
    made = made.right if isinstance(made, ast.BinOp) and isinstance(made.op, ast.Add) else made
    items = made.elts if isinstance(made, ast.Tuple) and all(isinstance(e.value, tuple) for e in found) else []
    for j, item in enumerate(reversed(items), 1):
      if (
        not isinstance(item, ast.Attribute)
        or ast.unparse(item).removeprefix(f"{self.self_name}.") not in self.field_names
      ):
        continue
      sizes = align([(e, e.value[-j]) for e in found], events)
      text = self.try_static(item)
      if text is not None and sizes is not None and all(type(s) is int for s in sizes):
        pool.same.setdefault(j, []).append(([text], sizes))

  def counts_examples(self: Unit, text: str) -> bool:
    """Whether the first axis of a call argument, of several, occurs in an expression."""
    for match in TOKEN.finditer(text):
      rank = self.token_rank.get(match.group(0), 1)
      if rank > 1 and int(match.group(2)) == rank:
        return True
    return False

  def _parts(self: Unit, node: ast.AST) -> Iterable[ast.AST]:
    """Expressions inside `node` that carry axes: names, calls and integers; `x` of `x.shape` is not an operand."""
    queue = list(ast.iter_child_nodes(node))
    while queue:
      child = queue.pop(0)
      measured = isinstance(parent := self.source.parents.get(child), ast.Attribute) and parent.attr in _MEASURES
      known = None
      if not measured:
        known = self.dims(child) if isinstance(child, ast.Call) else self._dims.get(child) or item_of(self, child)
      if known is None or not all(known):  # what is inside an operand that is known adds coincidences
        queue += ast.iter_child_nodes(child)
      if not measured and isinstance(child, ast.Name | ast.Call | ast.Attribute | ast.Subscript | ast.BinOp):
        yield child

  def likely_sizes(self: Unit, module: Any) -> list[str]:
    """Fields and attributes of configs that sound like a number of features, likeliest first."""
    found: list[tuple[int, str]] = []
    for name in self.field_names:
      value = getattr(module, name, None)
      if type(value) is int and value > 0:
        found.append((likeness(name), f"self.{name}"))
      elif _is_config(value):
        for attribute in _attributes(value):
          if type(size := _attribute(value, attribute)) is int and size > 0:
            read = f"[{attribute!r}]" if isinstance(value, Mapping) else f".{attribute}"
            found.append((likeness(attribute), f"self.{name}{read}"))
    return [text for rank, text in sorted(found, key=lambda f: -f[0]) if rank > 0]

  def matches(self: Unit, wanted: Sequence[tuple[Any, int]]) -> list[tuple[int, str]]:
    """(rank, expression) of fields and attributes of configs that equal the wanted size in every instance.

    Args:
      wanted: (module instance, size) pairs.
    """
    found: list[tuple[int, str]] = []
    for name in self.field_names if wanted else ():
      values = [(getattr(m, name, None), w) for m, w in wanted]
      if all(type(v) is int and v == w for v, w in values):
        lone = {w for _, w in values} == {1}  # of which there are many: only one that says so is meant
        found.append((likeness(name) + 1 - 3 * lone, f"self.{name}"))
      elif all(type(v) in (tuple, list) and v for v, _ in values):
        found += [(likeness(name) - 2 + bonus, f"self.{name}[{index}]") for index, bonus in _ends(values)]
      elif all(_is_config(v) for v, _ in values) and not _may_be_missing(wanted[0][0], name):
        for attribute in _attributes(values[0][0]):
          read = [(_attribute(v, attribute), w) for v, w in values]
          text = f"self.{name}[{attribute!r}]" if isinstance(values[0][0], Mapping) else f"self.{name}.{attribute}"
          if all(type(v) is int and v == w for v, w in read):
            found.append((likeness(attribute) + 3, text))
          elif not isinstance(values[0][0], Mapping):
            found += [(likeness(attribute) - 2 + bonus, f"{text}[{i}]") for i, bonus in _ends(read)]
    return sorted(found, key=lambda f: -f[0])


_ELEMENTWISE = {
  "relu", "gelu", "silu", "swish", "tanh", "sigmoid", "elu", "leaky_relu", "softplus", "softmax", "asarray", "exp",
  "normalize", "dropout", "activation", "act", "dot_product_attention",
}  # fmt: skip
_MEASURES = ("shape", "ndim", "dtype", "size")
_SIZE_WORDS = {
  "hidden", "dim", "dims", "feature", "features", "channel", "channels", "width", "embed", "embedding", "size", "model",
  "units", "filters", "embd", "emb", "inner", "intermediate", "mlp", "ffn", "latent",
}  # fmt: skip
_INPUT_WORDS = {"in", "input", "inputs"}
_OTHER_WORDS = {
  "num", "n", "max", "min", "vocab", "head", "heads", "layer", "layers", "kernel", "position", "positions", "patch",
  "image", "length", "len", "token", "tokens", "type", "depth", "steps", "batch", "id", "groups", "ratio", "stride",
}  # fmt: skip


def likeness(name: str) -> int:
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


def _ends(values: Sequence[tuple[Any, int]]) -> list[tuple[int, int]]:
  """Ends of tuples of numbers that have the wanted size in every instance: (index, 2 where no other item has it)."""
  if not all(type(v) in (tuple, list) and v for v, _ in values):
    return []
  found = []
  for index in (0, -1):
    if all(type(v[index]) is int and v[index] == w for v, w in values):
      found.append((index, 2 if all(v.count(w) == 1 and len(v) > 1 for v, w in values) else 0))
  return found


def _is_config(value: Any) -> bool:
  if value is None or isinstance(value, str | int | float | tuple | list | type) or callable(value):
    return False
  if hasattr(value, "shape") and hasattr(value, "dtype"):
    return False  # an array
  return bool(_attributes(value))


def _attributes(value: Any) -> list[str]:
  if isinstance(value, Mapping):
    return [k for k, v in value.items() if isinstance(k, str) and type(v) is int]
  slots = getattr(value, "__dict__", None)
  if not isinstance(slots, dict):
    return []
  if callable(getattr(value, "keys", None)) and callable(getattr(value, "items", None)):  # a `ConfigDict`
    return [k for k in _keys(value) if isinstance(k, str) and k.isidentifier()]
  names = [k for k in slots if not k.startswith("_")]
  for cls in type(value).__mro__[:-1]:
    names += [k for k, v in vars(cls).items() if isinstance(v, property) and k not in names and not k.startswith("_")]
    mapped = vars(cls).get("attribute_map")
    if isinstance(mapped, dict):
      names += [k for k in mapped if k not in names]
  return names


def _may_be_missing(module: Any, name: str) -> bool:
  """Whether a field is a dict of options that a model may do without: what it holds is no size of every model."""
  field = type(module).__dataclass_fields__.get(name)
  return field is not None and field.default is None and isinstance(getattr(module, name, None), Mapping)


def _keys(value: Any) -> list[Any]:
  try:
    return list(value.keys())
  except Exception:  # it is someone's own
    return []


def _attribute(value: Any, name: str) -> Any:
  try:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
  except Exception:  # a property of someone's config may fail
    return None
