"""Expressions as `__init__` evaluates them: over fields, constants, sizes and what else is known at construction."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from migrate.codemod.container_types import asks_container
from migrate.codemod.contextual import needs_context
from migrate.codemod.format_strings import with_names
from migrate.codemod.given_lambdas import given_lambda
from migrate.codemod.hidden_names import apart
from migrate.codemod.late_attributes import is_there_when_read
from migrate.codemod.lifted import beyond_template
from migrate.codemod.names import lookup
from migrate.codemod.scope import Dims
from migrate.codemod.settled import answered_at_first, true_at_first
from migrate.codemod.source import children, dotted
from migrate.codemod.transforms import ONE_WAY
from migrate.core.report import Finding
from migrate.trace.facts import ArraySpec

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class NotStatic(Exception):
  """The expression needs a value that only a call has."""


class CallField(NotStatic):
  """The expression needs a field that makers of the class give in the call."""

  def __init__(self, field: str):
    super().__init__(f"self.{field} is known in the call")
    self.field = field


class Statics:
  """Rendering for `__init__`, mixed into `Unit`."""

  def try_static(self: Unit, node: ast.AST) -> str | None:
    """The text for `__init__`, or None where the value is known only in a call."""
    try:
      return self.static(node)
    except NotStatic:
      return None

  def static_sizes(self: Unit, node: ast.AST) -> str | None:
    """As `try_static`, where lists of arrays stand for the lists of their last axes that `__init__` keeps."""
    self.counting_arrays = True
    try:
      return self.try_static(node)
    finally:
      self.counting_arrays = False

  def compose(self: Unit, node: ast.AST, write: Callable[[ast.AST], str], outdent: str = "") -> str:
    """The node's own text with every child's text replaced by `write(child)`; its lines lose the indentation `outdent`."""
    gap = lambda a, b: self.source.between(a, b).replace(f"\n{outdent}", "\n")
    start, end = self.source.span(node)
    text, at = "", start
    for child in children(node):
      a, b = self.source.span(child)
      if a < at:
        continue
      text += gap(at, a) + write(child)
      at = b
    return text + gap(at, end)

  def static(self: Unit, node: ast.AST, bound: frozenset[str] = frozenset()) -> str:
    """The text for `__init__`. Raises NotStatic where the value is known only in a call."""
    if self.outdent or self.in_setup:
      return self._static(node, bound)
    statement: ast.AST | None = node
    while statement is not None and not isinstance(statement, ast.stmt):
      statement = self.source.parents.get(statement)
    self.outdent = self.source.indent(statement) if statement is not None else ""
    try:
      return self._static(node, bound)
    finally:
      self.outdent = ""

  def _static(self: Unit, node: ast.AST, bound: frozenset[str]) -> str:
    source = self.source
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
      return self._static_name(node, bound)
    if (found := answered_at_first(self, node, lambda n: self.static(n, bound)) or self.looked_up(node)) is not None:
      return found
    if node in self.layer_lists:
      return self.layer_lists[node]
    if isinstance(node, ast.Constant):
      return source.code(node)
    if isinstance(node, ast.JoinedStr):
      texts = {n.id: self._static_name(n, bound) for n in ast.walk(node) if isinstance(n, ast.Name)}
      return with_names(source.code(node), texts, NotStatic)
    if isinstance(node, ast.IfExp) and (first := true_at_first(self, node.test)) is not None:
      before, self.first_value = self.first_value, True
      try:
        return self.static(node.body if first else node.orelse, bound)
      finally:
        self.first_value = before
    if isinstance(node, ast.Attribute):
      return self._static_attribute(node, bound)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
      base = self._static_base(node.value, bound)
      if base is not None:
        return self.compose(node, lambda c: self.static(c, bound), self.outdent)
      dims = self.dims(node.value.value)
      if dims is not None and (several := _axes(node.slice, len(dims))) is not None:
        sizes = [self.pick(dims[i], bound) for i in several]
        if all(s is not None for s in sizes):
          return f"({', '.join(str(s) for s in sizes)}{',' if len(sizes) == 1 else ''})"
        raise NotStatic(source.code(node))
      index = _integer(node.slice)
      index = self._axis_seen(node.slice, len(dims)) if index is None and dims else index
      if dims is not None and index is not None and -len(dims) <= index < len(dims):
        text = self.pick(dims[index], bound) or self.axis_of_field(node.value.value, index)
        if text is not None:
          return _atom(text)
        raise NotStatic(source.code(node))
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id not in bound:
      local, index = self.env.get(node.value.id), _integer(node.slice)
      if local is not None and local.kind in ("static", "dynamic") and local.dims and index is not None:
        text = self.pick(local.dims[index], bound) if -len(local.dims) <= index < len(local.dims) else None
        if text is not None:
          return _atom(text)
    if isinstance(node, ast.Call):
      return self._static_call(node, bound)
    if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
      inner = bound | {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
      return self.compose(node, lambda c: self.static(c, inner), self.outdent)
    if isinstance(node, ast.arg) or (isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store)):
      return source.code(node)
    if isinstance(node, ast.Lambda):
      inner = bound | {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
      maker = given_lambda(self, node)
      return maker.text if maker else self.compose(node, lambda c: self.static(c, inner), self.outdent)
    if isinstance(node, ast.stmt):
      return self.compose(node, lambda c: self.static(c, bound), self.outdent)
    if isinstance(node, ast.keyword | ast.expr | ast.comprehension):
      if isinstance(node, ast.NamedExpr) and not self.in_setup:
        return self.static_named(node, bound)
      if isinstance(node, ast.Yield | ast.YieldFrom | ast.Await):
        raise NotStatic(source.code(node))
      return self.compose(node, lambda c: self.static(c, bound), self.outdent)
    raise NotStatic(type(node).__name__)

  def measured_axes(self: Unit, value: ast.AST) -> Dims | None:
    """What is known of every axis of `x.shape`, where `x` is an array; None for any other expression."""
    if not isinstance(value, ast.Attribute) or value.attr != "shape" or self.array_events(value.value) is None:
      return None
    dims = self.dims(value.value)
    return [list(axis) for axis in dims] if dims is not None else None

  def _axis_seen(self: Unit, node: ast.AST, rank: int) -> int | None:
    """The axis that a computed index of a shape was every time, if that was the last one."""
    seen = {e.value for e in self.events(node)}
    return -1 if seen and all(type(v) is int and v in (-1, rank - 1) for v in seen) else None

  def _static_base(self: Unit, node: ast.Attribute, bound: frozenset[str]) -> str | None:
    try:
      return self.static(node.value, bound)
    except NotStatic:
      return None

  def pick(self: Unit, candidates: list[str], bound: frozenset[str] = frozenset()) -> str | None:
    """The best candidate that can be evaluated here."""
    return next((c for c in candidates if self.available(c, bound)), None)

  def _static_name(self: Unit, node: ast.Name, bound: frozenset[str]) -> str:
    name = node.id
    if name in bound:
      return name
    if name in self.inlined:
      return self.static(self.inlined[name], bound)
    local = self.env.get(name)
    if local is not None:
      if local.kind == "static":
        return name
      if local.kind == "size":
        text = self.pick(local.target, bound)
        if text is not None:
          return _atom(text)
      if local.kind == "arrays" and self.counting_arrays:
        return name  # `__init__` keeps the sizes of the arrays in a list of the same name
      if local.kind in ("site", "modules") and local.target is not None:
        if local.kind == "site" and local.target.looped:
          return f"self.{local.target.attr}[-1]"  # the one of this round
        text = self.site_reference(local.target) if local.kind == "site" else str(local.target)
        return "self." + text.removeprefix(f"{self.self_name}.") if text.startswith(f"{self.self_name}.") else text
      if local.kind == "array" and name in self.static_arrays:
        return name
      if self.first_value and isinstance(local.node, ast.IfExp) and true_at_first(self, local.node.test) is not None:
        return self.static(local.node, bound)
    if name == self.self_name:
      return "self"
    if (
      self.first_value and local is not None and local.kind == "array" and (made := self.variable_of(node)) is not None
    ):
      return f"self.{made}[...]"
    if local is not None or name in self.parameters:
      if name in self.parameters and (text := self.function_handed_over(node)) is not None:
        return text
      raise NotStatic(name)
    return self.static_global(node)

  def _static_attribute(self: Unit, node: ast.Attribute, bound: frozenset[str]) -> str:
    text = dotted(node)
    if node.attr in ("shape", "ndim", "dtype", "size") and self._static_base(node, bound) is None:
      local = self.env.get(node.value.id) if isinstance(node.value, ast.Name) else None
      events = self.events(node.value)
      if not events and local is not None and local.node is not None:
        events = self.events(local.node)  # read where no example comes, assigned where one does
      if events and all(isinstance(e.value, ArraySpec) for e in events):
        return self._static_of_array(node, events, bound)
      if node.attr == "dtype" and not events and not self.events(node):
        return self.assumed_dtype(node)
    if self.reads_own_name(node):
      return "self.name"
    if self.first_value and node.attr == "value" and (other := self.variable_of(node.value)) is not None:
      return f"self.{other}[...]"
    if isinstance(node.value, ast.Name) and node.value.id == self.self_name:
      if node.attr in self.call_fields:
        raise CallField(node.attr)
      if node.attr in self.layer_names:
        return f"self.{self.layer_names[node.attr]}"
      if node.attr in self.readable & self.host_attributes:
        return f"self.{node.attr}[...]"
      known = node.attr in self.readable or (self.cls_attribute(node.attr) and node.attr not in _SCOPE)
      if known or is_there_when_read(self, node):
        return f"self.{node.attr}"
      raise NotStatic(f"self.{node.attr}")
    if (lost := self.lost_attribute(node)) is not None:
      return lost
    renamed = self.layer_attribute(node)
    if renamed is not None:
      return f"{self.static(node.value, bound)}.{renamed}"
    root = (text or "").partition(".")[0]
    if root and root not in {*bound, *self.env, *self.parameters, self.self_name}:
      return self.static_global(node)
    return self.compose(node, lambda c: self.static(c, bound), self.outdent)

  def static_global(self: Unit, node: ast.AST) -> str:
    """A module-level name for `__init__`. Raises NotStatic where NNX has none."""
    if not self.in_setup and not self.has_counterpart(node):
      raise NotStatic(self.source.code(node))
    return apart(self, self.brought(self.global_name(node)))

  def _static_of_array(self: Unit, node: ast.Attribute, events: list, bound: frozenset[str]) -> str:
    dims = self.dims(node.value)
    if node.attr == "ndim":
      ranks = {len(e.value.shape) for e in events}
      if len(ranks) == 1:
        return str(ranks.pop())
    sizes = [self.pick(d, bound) for d in dims] if node.attr == "shape" and dims is not None else [None]
    if all(s is not None for s in sizes):
      return f"({', '.join(str(s) for s in sizes)}{',' if len(sizes) == 1 else ''})"
    if node.attr == "dtype":
      base = self.try_static(node.value)
      if base is not None:
        return f"{base}.dtype"
      kinds = {e.value.dtype for e in events}
      if len(kinds) == 1 and lookup(f"jax.numpy.{next(iter(kinds))}") is not None:
        self.need_import("import jax.numpy as jnp")
        kind = kinds.pop()
        self.note(Finding(self.where(node), f"the dtype of `{self.source.code(node.value)}` is known only in a call",
                          "a dtype at construction", f"jnp.{kind} as traced was written", "note", "L2N107"))  # fmt: skip
        return f"jnp.{kind}"
    raise NotStatic(self.source.code(node))

  def _rank(self: Unit, node: ast.expr) -> str | None:
    """What `len(x.shape)` is, if it is one number."""
    if not isinstance(node, ast.Attribute) or node.attr != "shape" or self.try_static(node.value) is not None:
      return None
    ranks = {str(len(e.value.shape)) for e in self.array_events(node.value) or ()}
    return ranks.pop() if len(ranks) == 1 else None

  def assumed_dtype(self: Unit, node: ast.Attribute) -> str:
    """The dtype of an array that no example makes: JAX's default."""
    self.need_import("import jax.numpy as jnp")
    self.note(Finding(self.where(node), f"no example tells the dtype of `{self.source.code(node.value)}`",
                      "a dtype at construction", "jnp.float32 was written: check it, or give an example that comes here",
                      "eye", "L2N107"))  # fmt: skip
    return "jnp.float32"

  def _static_call(self: Unit, node: ast.Call, bound: frozenset[str]) -> str:
    if self.creates(node) or self.factory_of(node) is not None:
      return self.constructor(node, bound=bound)
    if isinstance(node.func, ast.Call) and not self.in_setup and self.creates(node.func):
      raise NotStatic(self.source.code(node))  # a layer's output: trying would leave traces of the layer
    function = dotted(node.func)
    if function in (f"{self.self_name}.is_initializing",):
      return "True"
    if true_at_first(self, node):
      return "True"
    if self.first_value and function == f"{self.self_name}.make_rng":
      return self.drawn(node, self.rngs_argument, lambda c: self.static(c, bound))
    if self.in_setup and function in (f"{self.self_name}.param", f"{self.self_name}.variable"):
      return self.setup_variable(node)
    if function and function.startswith(f"{self.self_name}.") and function.partition(".")[2] in _SCOPE:
      raise NotStatic(function)
    if function == "len" and len(node.args) == 1:
      if (rank := self._rank(node.args[0])) is not None:
        return rank
      events = self.array_events(node.args[0])
      dims = self.dims(node.args[0]) if events else None
      if dims:
        text = self.pick(dims[0], bound)
        if text is not None:
          return text
    if self.resolve(node.func) in ONE_WAY and len(node.args) == 1:
      return self.static(node.args[0], bound)
    if self.resolve(node.func) == "flax.linen.merge_param" and len(node.args) == 3:
      first, second = [self.static(a, bound) for a in node.args[1:]]
      return f"({first} if {first} is not None else {second})"
    if self.resolve(node.func) == "functools.partial":
      return self.static_partial(node, bound)
    refused = beyond_template(self, node, self.resolve(node.func))
    if refused:
      raise self.refusal(node, refused, "a construct with a rewriting", "rewrite it by hand")
    if needs_context(self, node):
      raise NotStatic(self.source.code(node))
    if (asked := asks_container(self, node, lambda c: self.static(c, bound))) is not None:
      return asked
    given = self.given_partial(node)
    if given is not None:
      return self.compose(node, lambda c: _fixed(c, given.fixed) or self.static(c, bound), self.outdent)
    return self.compose(node, lambda c: self.static(c, bound), self.outdent)


def _fixed(node: ast.AST, fixed: Mapping[ast.expr, str]) -> str | None:
  """An argument whose value is written out, its keyword included."""
  if isinstance(node, ast.keyword) and node.value in fixed:
    return f"{node.arg}={fixed[node.value]}"
  return fixed.get(node) if isinstance(node, ast.expr) else None


# what a Linen module offers that has no meaning before a call
_SCOPE = {
  "param", "variable", "make_rng", "has_variable", "get_variable", "put_variable", "variables", "scope", "sow", "perturb",
  "is_mutable_collection", "is_initializing", "has_rng", "path", "name", "parent", "clone", "bind", "unbind", "copy",
}  # fmt: skip


def _integer(node: ast.AST) -> int | None:
  try:
    value = ast.literal_eval(node)  # type: ignore[arg-type]
  except (ValueError, TypeError, SyntaxError):
    return None
  return value if type(value) is int else None


def _axes(node: ast.AST, rank: int) -> range | None:
  """The axes that a slice with written bounds takes of a shape; None for any other index."""
  if not isinstance(node, ast.Slice):
    return None
  bounds = [None if b is None else _integer(b) for b in (node.lower, node.upper, node.step)]
  if any(b is not None and bound is None for b, bound in zip((node.lower, node.upper, node.step), bounds, strict=True)):
    return None
  return range(rank)[slice(*bounds)]


def _atom(text: str) -> str:
  if all(c.isalnum() or c in "._[]'\"" for c in text) or enclosed(text):
    return text
  try:
    node = ast.parse(text, mode="eval").body
  except SyntaxError:
    return f"({text})"
  return text if isinstance(node, ast.Call | ast.Subscript | ast.Attribute) else f"({text})"


def alone(text: str, written: str) -> str:
  """A text that is all of an argument, without parentheses that only an expression around it would need.

  Args:
    text: of the argument.
    written: the source, whose own parentheses stay.
  """
  if not enclosed(text) or text in written:
    return text
  try:
    inner = ast.parse(text, mode="eval").body
  except SyntaxError:
    return text
  return text[1:-1] if isinstance(inner, ast.BinOp) and "\n" not in text else text


def enclosed(text: str) -> bool:
  """Whether one pair of parentheses stands around all of a text."""
  depth = 0
  for i, c in enumerate(text):
    depth += (c == "(") - (c == ")")
    if depth == 0:
      return i == len(text) - 1 and text[0] == "("
  return False
