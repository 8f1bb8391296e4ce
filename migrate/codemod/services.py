"""What a Linen module offers its methods, in NNX's words."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.borrowed import borrowed_parameter
from migrate.codemod.remarks import comments_in
from migrate.codemod.scope import Stmt
from migrate.codemod.settled import SOWN
from migrate.codemod.source import dotted
from migrate.codemod.static import NotStatic
from migrate.codemod.stock_subclasses import stock_parameter
from migrate.codemod.variables import Flag
from migrate.core.report import Finding, MigrateError

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class Services:
  """Rendering of `self.make_rng` and its like, mixed into `Unit`."""

  def _self_param(self: Unit, node: ast.Call) -> str:
    return self.variable_site(node, "params")

  def _self_variable(self: Unit, node: ast.Call) -> str:
    return self.variable_site(node, None)

  def _self_make_rng(self: Unit, node: ast.Call) -> str:
    self.needs_rngs = True
    return self.drawn(node, f"{self.self_name}.rngs", self.text)

  def drawn(self: Unit, node: ast.Call, rngs: str, write: Callable[[ast.AST], str]) -> str:
    """The key that `self.make_rng` draws, from the streams `rngs`; `write` renders a computed name of a stream."""
    stream = node.args[0] if node.args else next((k.value for k in node.keywords), None)
    if stream is None:
      return f"{rngs}.params()"
    if isinstance(stream, ast.Constant) and str(stream.value).isidentifier():
      return f"{rngs}.{stream.value}()"
    return f"{rngs}[{write(stream)}]()"

  def _self_has_rng(self: Unit, node: ast.Call) -> str:
    self.needs_rngs = True
    return f"({self.text(node.args[0])} in self.rngs)"

  def _self_is_initializing(self: Unit, node: ast.Call) -> str:
    del node
    return "False"

  def _self_is_mutable_collection(self: Unit, node: ast.Call) -> str:
    seen = {e.value for e in self.events(node) if not e.activation.initializing and not e.activation.extra}
    named = node.args[0] if node.args else next((k.value for k in node.keywords), None)
    collection = self.collection_named(named)
    if collection == "params":
      return "True" if seen == {True} else "False"  # it asks whether the model is being initialized
    if collection is not None and collection not in SOWN:
      return self.mutable_flag(node, collection)
    if len(seen) == 2:
      self.note(Finding(self.where(node), "whether a collection is mutable differs between the calls", "one answer",
                        "NNX state is always mutable: True was written", "eye", "L2N109"))  # fmt: skip
    return "False" if seen == {False} else "True"

  def mutable_flag(self: Unit, node: ast.Call, collection: str) -> str:
    """Whether the caller lets a collection change: an attribute, which `train()` and `eval()` set where NNX has one."""
    standard = collection == "batch_stats" and "use_running_average" not in self.used
    if collection not in self.flags:
      attr = "use_running_average" if standard else self.attribute(f"update_{collection}")
      self.flags[collection] = Flag(attr, collection, not standard)
      self.note(Finding(self.where(node), f"whether `{collection}` is mutable is asked for", "an argument of `apply`, which NNX has not",
                        f"the attribute `{attr}` was written, {self.flags[collection].set_by}", "note", "L2N118"))  # fmt: skip
    flag = self.flags[collection]
    return f"self.{flag.attr}" if flag.mutable else f"(not self.{flag.attr})"

  def _self_has_variable(self: Unit, node: ast.Call) -> str:
    name = node.args[1] if len(node.args) > 1 else next((k.value for k in node.keywords if k.arg == "name"), None)
    seen = {e.value for e in self.events(node) if not e.activation.initializing}
    if isinstance(name, ast.Constant) and name.value not in self.variable_attrs and seen == {True}:
      return "True"  # a layer or variable that is made in `__init__` now
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
      attr = self.variable_attrs.get(name.value, name.value)
      return f'hasattr(self, "{attr}")'
    return f"hasattr(self, {self.text(name)})" if name is not None else "False"

  def _self_get_variable(self: Unit, node: ast.Call) -> str:
    name = node.args[1] if len(node.args) > 1 else None
    if isinstance(name, ast.Constant) and str(name.value).isidentifier():
      return f"self.{self.variable_attrs.get(str(name.value), str(name.value))}[...]"
    self.leave(node, "get_variable with a computed name")
    return self.compose(node, self.text)

  def _self_put_variable(self: Unit, node: ast.Call) -> str:
    name, value = (node.args[1], node.args[2]) if len(node.args) > 2 else (None, None)
    if isinstance(name, ast.Constant) and value is not None:
      return f"self.{self.variable_attrs.get(str(name.value), str(name.value))}.set_value({self.text(value)})"
    self.leave(node, "put_variable with a computed name")
    return self.compose(node, self.text)

  def _self_sow(self: Unit, node: ast.Call) -> str:
    given = [node.args[0]] if node.args else [k for k in node.keywords if k.arg == "col"]
    named = self.collection_named(given[0].value if isinstance(given[0], ast.keyword) else given[0]) if given else None

    if not any(f.rule == "L2N124" for f in self.findings):
      self.note(Finding(self.where(node), "the module keeps what it sows, call after call", "",
                        "call nnx.capture(model, nnx.Intermediate) for what is sown, nnx.capture(model) to sow nothing", "note", "L2N124"))  # fmt: skip

    def write(child: ast.AST) -> str:
      if not given or child is not given[0]:
        return self.argument_text(child)
      text = self.variable_type(named) if named is not None else self.argument_text(getattr(child, "value", child))
      return f"variable_type={text}" if isinstance(child, ast.keyword) else text

    return self.compose(node, write)

  def _self_perturb(self: Unit, node: ast.Call) -> str:
    return self.compose(node, self.text)

  def lost_attribute(self: Unit, node: ast.Attribute) -> str | None:
    """The value of a Linen layer's field that the NNX layer does not keep (`self.dense.batch_dims`), if it is one value."""
    events = self.events(node)
    owners = self.events(node.value)
    if not events or not owners or not all(isinstance(e.value, nn.Module) for e in owners):
      return None
    record = self.project.record(type(owners[0].value))
    if record is None or not any(a.linen == node.attr and a.fate == "ignore" for a in record.args):
      return None
    text = repr(events[0].value)
    if not _is_literal(events[0].value) or any(repr(e.value) != text for e in events):
      return None
    self.note(Finding(self.where(node), f"{record.nnx} does not keep `{node.attr}`", "an attribute of the layer",
                      f"`{text}` as traced was written", "note", "L2N112"))  # fmt: skip
    return text

  def layer_attribute(self: Unit, node: ast.Attribute) -> str | None:
    """What NNX calls a field of a layer that is read from outside (`self.conv.features`)."""
    owners = self.events(node.value)
    if not owners or not all(isinstance(e.value, nn.Module) for e in owners):
      return None
    record = self.project.record(type(owners[0].value))
    renamed = {a.linen: a.nnx for a in record.args if a.fate == "rename"} if record is not None else {}
    return renamed.get(node.attr)

  def variable_site(self: Unit, node: ast.Call, collection: str | None) -> str:
    """`self.param(...)` and `self.variable(...)`: the variable is made in `__init__`."""
    arguments: list[ast.expr] = list(node.args)
    named = {k.arg: k.value for k in node.keywords if k.arg}
    # `self.variable("params", ...)` gives the Variable, and its initializer gets no key
    parameter = collection == "params"
    if collection is None:
      column = arguments.pop(0) if arguments else named.pop("col")
      collection = self.collection_named(column)
      if collection is None:
        self.leave(node, "a variable in a computed collection")
        return self.compose(node, self.text)
    name = arguments.pop(0) if arguments else named.pop("name")
    maker = arguments.pop(0) if arguments else named.pop("init_fn", None)
    named.pop("unbox", None)
    constant = name.value if isinstance(name, ast.Constant) else None
    hint = str(constant) if constant is not None else self._only_name(name) or self.fixed_part(name)
    seen = self.events(node)
    if all(e.activation.extra for e in seen) and (seen or collection != "params") and not self.in_setup:
      return self._late_variable(node, collection, hint, maker, arguments, named)
    borrowed = borrowed_parameter(self, node, name, maker) if parameter else None
    if parameter and borrowed is None:
      borrowed = stock_parameter(self, node, name, maker)
    if borrowed is not None:
      self.record_variable(collection, name, borrowed, node)
      return f"self.{borrowed}[...]"
    attr = self.iterator or self._same_variable(collection, constant) or self.attribute(hint, prefer=True)
    self.readable.add(attr)
    kind = self.variable_type(collection)
    self.record_variable(collection, name, attr, node)
    if constant is not None:
      self.variable_attrs[str(constant)] = attr
    reference = self.reference(attr)
    self.variable_attr, self.first_value = attr, True
    try:
      pieces = [self.value_at_init(a, node) for a in arguments] + [
        f"{k}={self.value_at_init(v, node)}" for k, v in named.items()
      ]
      made = self.initial_value(maker, pieces, parameter, node)
    except (NotStatic, MigrateError):
      if seen or self.untraced:
        raise
      self.variable_sites.pop()
      self.leave(node, f"`{attr}`, whose initial value only a call knows")
      return self.compose(node, self.text)
    finally:
      self.variable_attr, self.first_value = "", False
    if self._starts_as_number(node):
      self.need_import("import jax.numpy as jnp")
      number, made = made, lambda: f"jnp.asarray({number()})"
    indent = self.init_indent

    tree = parameter and bool(self.events(node)) and not self.holds_array(node) and not self._boxed(node)
    if tree:
      self.need_import("import jax")

    def text() -> str:
      inner = f"nnx.data(jax.tree.map({kind}, {made()}))" if tree else f"{kind}({made()})"
      return f"self.{attr}.append({inner})" if looped else f"self.{attr} = {inner}"

    looped = bool(self.loops)
    if looped and not self.iterator:
      self.loops[0].before.append(Stmt(lambda: f"self.{attr} = nnx.List([])", keep=True))
    del indent
    owners = self.variable_sites[-1].names
    partial = any(k not in owners for k in self.instances)
    comments = () if self.in_setup else comments_in(self.source, node)
    self.block.append(Stmt(text, keep=True, comments=(*self.take_comments(), *comments), partial=partial))
    if parameter:
      if not (looped or partial or tree or self.in_setup):
        self.measure_parameter(node, attr)
      return f"{reference}[...]" if self.holds_array(node) else self.tree_value(reference, node)
    self.env_variable(node)
    return reference

  def _variable_of_layer(self: Unit, node: ast.Call) -> str | None:
    """`layer.get_variable("params", "kernel")` reads the attribute."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr != "get_variable" or len(node.args) < 2:
      return None
    owners = [e.value for e in self.events(node.func.value)]
    names = [a.value for a in node.args[:2] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if not owners or not all(isinstance(o, nn.Module) for o in owners) or len(names) < 2 or not names[1].isidentifier():
      return None
    record = self.project.record(type(owners[0]))
    known = {leaf.linen[0]: leaf.nnx[0] for leaf in record.leaves if not leaf.ops} if record is not None else {}
    path = known.get((names[0], names[1]), (names[1],)) if record is not None else (names[1],)
    text = f"{self.text(node.func.value)}.{'.'.join(map(str, path))}"
    return f"{text}[...]" if self.holds_array(node) else text

  def holds_array(self: Unit, node: ast.AST) -> bool:
    """Whether an expression is an array, or a number that is one after the first run."""
    return all(hasattr(e.value, "shape") or type(e.value) in (int, float) for e in self.events(node))

  def tree_value(self: Unit, reference: str, node: ast.AST) -> str:
    """The arrays of a parameter that is a tree of them."""
    if self._boxed(node):
      return f"{reference}.get_value()"
    self.need_import("import jax")
    return f"jax.tree.map(lambda v: v[...], {reference}, is_leaf=lambda v: isinstance(v, nnx.Variable))"

  def _boxed(self: Unit, node: ast.AST) -> bool:
    """Whether a parameter came in a box with axis names."""
    return any(isinstance(e.value, nn.meta.AxisMetadata) for e in self.events(node))

  def _starts_as_number(self: Unit, node: ast.AST) -> bool:
    """Whether a variable's first value is a Python number: Linen's `jit` makes it an array, NNX takes it for a constant."""
    seen = [getattr(e.value, "value", e.value) for e in self.events(node) if e.activation.initializing]
    return bool(seen) and all(type(v) in (int, float, bool) for v in seen)

  def _same_variable(self: Unit, collection: str, name: Any) -> str | None:
    """The attribute of a variable of that name in another branch: Linen lets an instance have only one of them."""
    attr = self.variable_attrs.get(str(name)) if name is not None else None
    known = [v for v in self.variable_sites if v.attr == attr and v.collection == collection]
    return attr if known and not self.helpers else None

  def _only_name(self: Unit, name: ast.expr) -> str:
    """The name that an expression had in every run, or nothing."""
    seen = {e.value for e in self.events(name)} if isinstance(name, ast.Name) else set()
    only = next(iter(seen)) if len(seen) == 1 else None
    return only if isinstance(only, str) and only.isidentifier() else ""

  def _late_variable(
    self: Unit, node: ast.Call, collection: str, attr: str, maker: Any, arguments: list, named: dict
  ) -> str:
    """A variable that no example makes: made by the first call that needs it."""
    kind = self.variable_type(collection)
    pieces = [self.text(a) for a in arguments] + [f"{k}={self.text(v)}" for k, v in named.items()]
    value = f"{self.text(maker)}({', '.join(pieces)})" if maker is not None else "None"
    if isinstance(maker, ast.Lambda) and not maker.args.args and not pieces:
      value = self.text(maker.body)
    if collection == "params":
      self.leave(node, "a parameter that no example makes")
      return self.compose(node, self.text)
    self.variable_attrs.setdefault(attr, attr)
    self.need_late_variable()
    return f'late_variable(self, "{attr}", lambda: {kind}({value}))'

  def env_variable(self: Unit, node: ast.Call) -> None:
    """Marks the expression as one that gives a Variable."""
    self.variable_nodes.add(node)

  def _applied(self: Unit, node: ast.Call) -> str | None:
    """`layer.apply({"params": {...}}, x)` of a submodule calls it with other parameters."""
    if not (isinstance(node.func, ast.Attribute) and node.func.attr == "apply" and node.args):
      return None
    owners = [e.value for e in self.events(node.func.value)]
    if owners and not all(isinstance(o, nn.Module) for o in owners):
      return None
    given = node.args[0]
    if not owners and not (dotted(node.func.value) or "").startswith(f"{self.self_name}."):
      return None
    if (
      isinstance(given, ast.Dict)
      and len(given.keys) == 1
      and isinstance(given.keys[0], ast.Constant)
      and given.keys[0].value == "params"
    ):
      values = self.text(given.values[0])
    else:
      values = f'{self.text(given)}["params"]'
    rest = [self.argument_text(a) for a in [*node.args[1:], *node.keywords]]
    function = self.template("template:call_with.call_with")
    self._modules_called_with(node, owners)
    site = self.site_of(node.func.value)
    if site is not None:
      self.settle(site, ast.Call(node.func, node.args[1:], node.keywords))
    return f"{function}({', '.join([self.text(node.func.value), values, *rest])})"

  def _modules_called_with(self: Unit, node: ast.Call, modules: Sequence[Any]) -> None:
    """The call tells the sizes of a layer of `setup`, though its parameters are not used."""
    for site in self.setup_sites:
      if any(self.same_origin(m, modules) or any(m is o for o in modules) for _, _, m in site.made):
        for need in site.needs:
          values = self._flow_candidates(site, need, ast.Call(node.func, node.args[1:], node.keywords), need.values)
          site.flow.setdefault(need.parameter, []).extend(values)


def _is_literal(value: Any) -> bool:
  if isinstance(value, tuple):
    return all(map(_is_literal, value))
  return value is None or type(value) in (bool, int, float, str)
