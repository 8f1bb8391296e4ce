"""Parameters and variables: made in `__init__`, read and written in the method."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import contextlib
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.beta import applied
from migrate.codemod.input_values import InputValues
from migrate.codemod.project import has_array
from migrate.codemod.shape_picks import ShapePicks
from migrate.codemod.site import Site
from migrate.codemod.source import defaults_of, dotted
from migrate.codemod.static import NotStatic
from migrate.core.mutable import variable_class
from migrate.core.report import Finding

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

VARIABLE_TYPES = {
  "params": "nnx.Param",
  "batch_stats": "nnx.BatchStat",
  "cache": "nnx.Cache",
  "intermediates": "nnx.Intermediate",
  "perturbations": "nnx.Perturbation",
}


@dataclasses.dataclass(eq=False)
class VariableSite:
  """`self.param(...)` or `self.variable(...)` and the attribute it became.

  Attributes:
    attr: the attribute; `layer.attribute` where the parameter is a layer's, empty where Linen's names are the attributes.
    collection: Linen's collection.
    names: path and trace of the owner -> Linen names in order of creation.
    orders: as `names`, when each was made.
    looped: whether the attribute is a list.
    first: where in the list the first one is.
  """

  attr: str
  collection: str
  names: dict[tuple[int, tuple[str, ...]], list[str]]
  looped: bool
  first: int = 0
  orders: dict[tuple[int, tuple[str, ...]], list[int]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Flag:
  """An attribute that says whether calls may change a collection, which Linen's callers say with `mutable=`.

  Attributes:
    attr: the attribute.
    collection: Linen's collection.
    mutable: the attribute's value where the collection may change.
  """

  attr: str
  collection: str
  mutable: bool

  @property
  def set_by(self) -> str:
    """What sets the attribute, for a comment."""
    if self.attr == "use_running_average":
      return "set by model.train() and model.eval()"
    return f"set by model.set_attributes({self.attr}=...)"


class Variables(InputValues, ShapePicks):
  """Rendering of variables, mixed into `Unit`."""

  def variable_of(self: Unit, node: ast.AST) -> str | None:
    """The attribute of the variable or parameter of a local, which was made before; None where it is not one of its name."""
    local = self.env.get(node.id) if isinstance(node, ast.Name) else None
    made = local.node if local is not None and local.kind in ("variable", "array") else None
    if not isinstance(made, ast.Call) or dotted(made.func) not in ("self.param", "self.variable") or self.loops:
      return None
    told = [a.value for a in made.args[:2] if isinstance(a, ast.Constant)]
    told = ["params", *told[:1]] if dotted(made.func) == "self.param" else told
    if len(told) != 2:
      return None
    named = [s for s in self.variable_sites if s.collection == told[0] and any(told[1] in n for n in s.names.values())]
    return named[0].attr if len(named) == 1 else None

  def fixed_part(self: Unit, node: ast.AST) -> str:
    """The constant part of a computed name."""
    if isinstance(node, ast.JoinedStr):
      text = "_".join(str(p.value).strip("_ ") for p in node.values if isinstance(p, ast.Constant)).strip("_")
      if text:
        return text
    return "weight"

  def collection_named(self: Unit, node: ast.AST | None) -> str | None:
    """The collection that an expression names: a literal, or what it was every time (`self.collection_name`)."""
    if isinstance(node, ast.Constant):
      return str(node.value)
    if node is None:
      return None
    seen = {e.value for e in self.events(node)}
    own = f"{self.self_name}."
    if not seen and ast.unparse(node).startswith(own):  # no example comes here: the default
      field = getattr(self.info.cls, "__dataclass_fields__", {}).get(ast.unparse(node).removeprefix(own))
      seen = {field.default} if field is not None else seen
    found = next(iter(seen), None)
    if len(seen) != 1 or not isinstance(found, str):
      return None
    if not isinstance(node, ast.Name):
      self.note(Finding(self.where(node), f"the collection is `{ast.unparse(node)}`", "a name that is written there",
                        f"{found!r} as traced was written: each has a Variable type", "note", "L2N114"))  # fmt: skip
    return found

  def variable_type(self: Unit, collection: str) -> str:
    """The Variable type of a collection: NNX's own, or one that the file defines."""
    if collection in VARIABLE_TYPES:
      self.need_import("from flax import nnx")
      return VARIABLE_TYPES[collection]
    name = variable_class(collection)
    if self.names.resolve(name) is not None:
      name += "Variable"
    self.collections[collection] = name
    self.need_import(f"from __variables__ import {name}")
    return name

  def record_variable(self: Unit, collection: str, name: Any, attr: str, node: ast.AST) -> None:
    """Remembers which Linen names an attribute stands for."""
    names: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    orders: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for activation in {id(e.activation): e.activation for e in self.events(node)}.values():
      at = activation.orders.get(self.position(node), [])
      if isinstance(name, ast.Constant):  # it may stand for a name that the source does not write
        told = [str(name.value)] * len(at)
      else:
        told = [str(v) for v in activation.events.get(self.position(name), ())]
      known = set(names.setdefault(owner := self.owner_key(activation), []))  # another run tells nothing new
      new = [(n, o) for n, o in zip(told, at, strict=False) if n not in known]
      names[owner] += [n for n, _ in new]
      orders.setdefault(owner, []).extend(o for _, o in new)
    self.variable_sites.append(VariableSite(attr, collection, names, bool(self.loops), orders=orders))

  def value_at_init(self: Unit, node: ast.AST, site: ast.Call) -> str:
    """An argument of an initializer, for `__init__`; sizes that no expression gives are hoisted."""
    try:
      return self.static(node)
    except NotStatic:
      events = self.events(node)
      if (picked := self.with_picks(node, site) or (self.static_handed(node) if events else None)) is not None:
        return picked
      if isinstance(node, ast.Tuple | ast.List):
        parts = [self.value_at_init(e, site) for e in node.elts]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
      values = [e.value for e in events]
      if values and not any(map(has_array, values)) and not any(callable(v) for v in values):
        if (
          all(isinstance(v, tuple) for v in values)
          and len({len(v) for v in values}) == 1
          and all(isinstance(i, int) for v in values for i in v)
        ):
          parts = [self._hoisted_value(node, site, [v[i] for v in values], events, i) for i in range(len(values[0]))]
          return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        return self._hoisted_value(node, site, values, events, None)
      if not self.events(site) and not isinstance(node, ast.Starred):
        if (default := self.default_of(node)) is not None:
          return default
        return self.hoist(Site(self.suggest_variable(site), site, [], None), "value", [])
      raise

  def default_of(self: Unit, node: ast.AST) -> str | None:
    """What a call argument is where no call gives it, if `__init__` can say it."""
    method = next((n for n in self.source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
    if not isinstance(node, ast.Name) or node.id not in self.parameters or method is None:
      return None
    default = defaults_of(method.args).get(node.id)
    return self.try_static(default) if default is not None and self.assigned[node.id] == 0 else None

  def _hoisted_value(
    self: Unit, node: ast.AST, site: ast.Call, values: list[Any], events: list, index: int | None
  ) -> str:
    known = [(e.activation.module, v) for e, v in zip(events, values, strict=True)]
    if all(type(v) is int for v in values):
      if set(values) == {1}:
        return "1"
      found = self.matches(known)
      if found and found[0][0] >= 2:
        return found[0][1]
      if isinstance(node, ast.Attribute) and node.attr == "shape" and index is not None:
        dims = self.dims(node.value)
        text = self.pick(dims[index]) if dims and index < len(dims) else None
        if text is not None:
          return text
    hint = self.suggest_variable(site)
    pseudo = Site(hint, site, [(e.activation, 0, e.activation.module) for e in events], None, looped=bool(self.loops))
    if isinstance(node, ast.Name) and index is None and not self.loops:
      self.note_hoisted(node)
      return self.hoist(pseudo, "size", values, node.id)
    return self.hoist(pseudo, "size" if index is None else f"dim{index}", values)

  def note_hoisted(self: Unit, node: ast.Name) -> None:
    """An argument of the constructor tells this local now: what made it goes if nothing else reads it."""
    local = self.env.get(node.id)
    made = local.node if local is not None else None
    calls = [n.func for n in ast.walk(made) if isinstance(n, ast.Call)] if made is not None else []
    if made is not None and not any(isinstance(e.value, nn.Module) for c in calls for e in self.events(c)):
      self.hoisted_locals.add(node.id)

  def static_with_hoists(self: Unit, maker: ast.AST, site: ast.Call) -> str:
    """What makes the value, for `__init__`; numbers in it that no expression gives are hoisted."""

    def write(node: ast.AST, bound: frozenset[str]) -> str:
      try:
        return self.static(node, bound)
      except NotStatic:
        if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
          inner = (
            {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)} if isinstance(node, ast.Lambda) else set()
          )
          with contextlib.suppress(NotStatic):
            return self.compose(node, lambda child: write(child, bound | inner), self.outdent)
        events = self.events(node)
        if events and (handed := self.static_handed(node, bound)) is not None:
          return handed
        values = [e.value for e in events]
        if not values or not all(type(v) in (int, float) for v in values):
          raise
        return self._hoisted_value(node, site, values, events, None)

    return write(maker, frozenset())

  def setup_variable(self: Unit, node: ast.Call) -> str:
    """`self.param(...)` inside another expression of `setup`: the Variable itself stands there."""
    before = len(self.block)
    self.variable_site(node, "params" if self.source.code(node.func).endswith(".param") else None)
    if len(self.block) == before:
      raise NotStatic(self.source.code(node))
    statement = self.block[-1]
    del self.block[before:]
    if _set_by_name(self.source.parents.get(node), node):
      self.variable_sites[-1] = dataclasses.replace(self.variable_sites[-1], attr="", looped=False)
    else:
      self.open_variables.append(self.variable_sites[-1])
    return statement.text().partition(" = ")[2]  # type: ignore[union-attr]

  def suggest_variable(self: Unit, site: ast.Call) -> str:
    """A name for what belongs to a variable."""
    if self.variable_attr:
      return self.variable_attr
    name = "weight"
    for argument in [*site.args[:2], *[k.value for k in site.keywords if k.arg == "name"]]:
      if isinstance(argument, ast.Constant) and str(argument.value).isidentifier():
        name = str(argument.value)
    return name

  def initial_value(
    self: Unit, maker: ast.AST | None, pieces: list[str], keyed: bool, node: ast.Call
  ) -> Callable[[], str]:
    """The expression that makes the first value; `keyed`: the initializer takes a key first."""
    if maker is None:
      return lambda: "None"
    if isinstance(maker, ast.Lambda) and not maker.args.args and not maker.args.vararg and not pieces and not keyed:
      body = self.static(maker.body)
      return lambda: body
    try:
      function = self.static_with_hoists(maker, node)
    except NotStatic as error:
      first = keyed and not self.call_fields  # else what the makers give in the call may be what lacks
      told_later = self.from_inputs(maker, pieces, node) if first else None
      if told_later is not None:
        return told_later
      raise self.refusal(node, f"an initial value that only a call knows (`{error}`)", "a value known at construction",
                         "make it from fields, constants and shapes") from None  # fmt: skip
    arguments = [f"{self.rngs_argument}.params()", *pieces] if keyed else pieces
    if isinstance(maker, ast.Lambda) and maker.args.vararg is not None and not _uses_arguments(maker):
      value = self.static_with_hoists(maker.body, node)
      return lambda: value
    if isinstance(maker, ast.Lambda):
      return lambda: applied(function, arguments)
    return lambda: f"{function}({', '.join(arguments)})"

  def need_late_variable(self: Unit) -> bool:
    """Asks for the helper that makes a variable at its first use."""
    self.need_import("from __templates__.late_variable import late_variable")
    self.templates.add("late_variable")
    return True


def _uses_arguments(maker: ast.Lambda) -> bool:
  """Whether a lambda reads any of its arguments."""
  names = {a.arg for a in ast.walk(maker.args) if isinstance(a, ast.arg)}
  return any(isinstance(n, ast.Name) and n.id in names for n in ast.walk(maker.body))


def _set_by_name(around: ast.AST | None, node: ast.Call) -> bool:
  """Whether `around` is `setattr(self, name, self.param(name, ...))`: the attribute has the name of the parameter."""
  if not isinstance(around, ast.Call) or ast.unparse(around.func) != "setattr" or len(around.args) != 3:
    return False
  return bool(node.args) and around.args[2] is node and ast.dump(around.args[1]) == ast.dump(node.args[0])
