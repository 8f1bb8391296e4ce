"""Expressions as the method evaluates them: constructors become attributes, Linen's services become NNX's."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.accessors import accessor_call
from migrate.codemod.alternatives import alternative
from migrate.codemod.base_calls import base_call
from migrate.codemod.carries import free_carry
from migrate.codemod.computed import computed_read
from migrate.codemod.container_types import asks_container, joined_lists
from migrate.codemod.given_lambdas import given_lambda
from migrate.codemod.layer_methods import method_text, owners_of_method
from migrate.codemod.left_classes import stays_linen
from migrate.codemod.lifted import lifted_function
from migrate.codemod.lifted_calls import lifted_call
from migrate.codemod.mixed_partials import EVERY
from migrate.codemod.names import snake
from migrate.codemod.normalized import normalized
from migrate.codemod.one_a_round import list_of_rounds, of_round
from migrate.codemod.opened import opened_sequential
from migrate.codemod.optional_arrays import array_attribute
from migrate.codemod.overrides import is_super
from migrate.codemod.pipelines import first_inside
from migrate.codemod.remarks import fits_one_line
from migrate.codemod.scope import Local
from migrate.codemod.settled import settled_answer, settled_choice
from migrate.codemod.shared_methods import layer_made_before
from migrate.codemod.shared_names import attribute_of_other_way
from migrate.codemod.site import Site, fields_of, parameters_of
from migrate.codemod.source import dotted
from migrate.codemod.spread import name_given
from migrate.codemod.transforms import ONE_WAY
from migrate.codemod.unbound import tell_unbound
from migrate.core.declare import LayerMapping
from migrate.core.report import Finding

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class Calls:
  """Rendering for methods, mixed into `Unit`."""

  def text(self: Unit, node: ast.AST) -> str:
    """The expression's text in the method."""
    if isinstance(node, ast.Call):
      return self._call(node)
    if isinstance(node, ast.Name):
      local = self.env.get(node.id)
      if local is not None and local.kind in ("site", "modules") and local.target is not None:
        return self.named_site(node, local.target) if isinstance(local.target, Site) else str(local.target)
      if local is not None and local.kind == "settled" and isinstance(node.ctx, ast.Load):
        return str(local.target)
      if node.id in self.parameters or local is not None or node.id == self.self_name:
        return node.id
      return self.global_name(node) if isinstance(node.ctx, ast.Load) else node.id
    if isinstance(node, ast.JoinedStr | ast.Constant):
      return self.source.code(node)
    if isinstance(node, ast.Attribute):
      return self._attribute(node)
    if isinstance(node, ast.Compare | ast.BoolOp) and (answer := settled_answer(self, node)) is not None:
      return answer
    if isinstance(node, ast.IfExp) and (branch := settled_choice(self, node)) is not None:
      return self.text(branch)
    chosen = alternative(self, node) if isinstance(node, ast.IfExp) else joined_lists(self, node, self.text)
    if chosen is not None:
      return chosen
    if isinstance(node, ast.Subscript):
      own = self._own_variables(node)
      if own is not None:
        return own
    if node in self.layer_lists:
      return self.layer_lists[node]
    if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp):
      through = self.layers_in_comprehension(node) or self.comprehension(node)
      if through is not None:
        return through
      self.shadow({n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)})
    if isinstance(node, ast.Lambda):
      if (maker := given_lambda(self, node)) is not None:
        return maker.text
      names = {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
      saved = dict(self.env)
      for name in names:
        self.env.pop(name, None)
      self.parameters, before = self.parameters | names, self.parameters
      try:
        return self.in_rounds(node, lambda: self.compose(node, self.text))
      finally:
        self.env, self.parameters = saved, before
    return self.compose(node, self.text)

  def shadow(self: Unit, names: set[str]) -> None:
    """Names bound by a comprehension are known only inside."""
    for name in names:
      if name not in self.env:
        self.env[name] = Local("dynamic")

  def _attribute(self: Unit, node: ast.Attribute) -> str:
    if node.attr == "value" and self._is_variable(node.value):
      base = self.text(node.value)
      return f"{base}[...]" if self.holds_array(node) else f"{base}.get_value()"
    if isinstance(node.value, ast.Name) and node.value.id == self.self_name and node.attr in self.call_fields:
      return node.attr
    if node.attr == "__getattr__" and self.source.code(node.value) == "super()" and not self.inherits(node.attr):
      return "super().__getattribute__"  # Linen's modules have one, NNX's have not: this raises as it should
    if self.reads_own_name(node):
      return f"{self.self_name}.name"
    own = isinstance(node.value, ast.Name) and node.value.id == self.self_name
    if own and node.attr in self.layer_names:
      return f"self.{self.layer_names[node.attr]}"
    if own and (computed := computed_read(self, node)) is not None:
      return computed
    if own and node.attr in self.derived and isinstance(node.ctx, ast.Load):
      return f"({self.derived[node.attr]})"
    if own and node.attr in self.array_attributes | self.host_attributes and isinstance(node.ctx, ast.Load):
      return array_attribute(self, node)
    if not own and isinstance(node.ctx, ast.Load):
      if (lost := self.lost_attribute(node)) is not None:
        return lost
      if (renamed := self.layer_attribute(node)) is not None:
        return f"{self.text(node.value)}.{renamed}"
    tell_unbound(self, node)
    full = dotted(node)
    if full is not None:
      root = full.partition(".")[0]
      if root not in self.env and root not in self.parameters and root != self.self_name:
        return self.global_name(node)
    return self.compose(node, self.text)

  def _is_variable(self: Unit, node: ast.AST) -> bool:
    events = self.events(node)
    if events:
      return all(
        type(e.value).__name__ == "Variable" and type(e.value).__module__.startswith("flax.core") for e in events
      )
    local = self.env.get(node.id) if isinstance(node, ast.Name) else None
    return local is not None and local.kind == "variable"

  def _own_variables(self: Unit, node: ast.Subscript) -> str | None:
    """`self.dense.variables["params"]["kernel"]` reads the attribute."""
    path: list[str] = []
    inner: ast.AST = node
    while isinstance(inner, ast.Subscript):
      if not isinstance(inner.slice, ast.Constant) or not isinstance(inner.slice.value, str):
        return None
      path.insert(0, inner.slice.value)
      inner = inner.value
    if not isinstance(inner, ast.Attribute) or inner.attr != "variables" or len(path) < 2:
      return None
    owners = [e.value for e in self.events(inner.value)]
    base = self.text(inner.value)
    if owners and not all(isinstance(o, nn.Module) for o in owners):
      return None
    if not owners:
      self.note(Finding(self.where(node), "an untraced read of a submodule's variables", "an example that reaches it", "check the attribute path", "eye", "L2N108"))  # fmt: skip
    text = base
    for step in path[1:]:
      text += f".{step}" if step.isidentifier() else f"[{step!r}]"
    return f"{text}[...]" if self.holds_array(node) else text

  def _call(self: Unit, node: ast.Call) -> str:
    function = dotted(node.func)
    if self.reads_params and is_super(node, "param"):
      return f"getattr(self, {self.text(node.args[0])})[...]"
    if function is not None and function.startswith(f"{self.self_name}."):
      handler = getattr(self, f"_self_{function.partition('.')[2]}", None)
      if handler is not None:
        return handler(node)
    written = opened_sequential(self, node) or normalized(self, node) or free_carry(self, node)
    written = written or lifted_function(self, node) or lifted_call(self, node) or asks_container(self, node, self.text)
    if (written := written or self.partial_of_function(node)) is not None:
      return written
    helper = self.helper_called(node)
    if helper is not None:
      return self.run_helper(node, helper)
    if self.creates(node):
      site = self.make(node, self.suggest(node))
      return self.site_reference(site)
    if isinstance(node.func, ast.Call) and self.creates(node.func):
      site = self.make(node.func, self.suggest(node.func))
      return self.call_site(node, site)
    inner = self.helper_called(node.func) if isinstance(node.func, ast.Call) else None
    if inner is not None and isinstance(node.func, ast.Call):
      for argument in [*node.args, *node.keywords]:
        self.argument_text(argument)  # names are settled left to right, as in `call_site`
      return self.respell(node, self.run_helper(node.func, inner, node))
    site = self.site_of(node.func)
    if site is not None:
      return self.call_site(node, site)
    tied = self._applied(node) or self._variable_of_layer(node) or accessor_call(self, node)
    if tied is not None:
      return tied
    modules = self._modules_called(node)
    if modules:
      return self._call_module(node, modules, self.text(node.func), None)
    if self.resolve(node.func) in ONE_WAY and len(node.args) == 1:
      return self.text(node.args[0])
    if function in ("nn.merge_param", "merge_param") or self.resolve(node.func) == "flax.linen.merge_param":
      first, second = [self.text(a) for a in node.args[1:3]]
      if first == second:
        return first
      alone = isinstance(self.source.parents.get(node), ast.Assign | ast.AnnAssign | ast.Return)
      chosen = f"{first} if {first} is not None else {second}"
      return chosen if alone else f"({chosen})"
    if (why := stays_linen(self, node)) is not None:
      self.leave(node, why)
    text = base_call(self, node) or self.compose(node, self.text)
    self.learn_super(node)
    return text

  def suggest(self: Unit, node: ast.Call) -> str:
    """A readable attribute name for a layer: its `name=`, else its class."""
    if self.layer_hint:
      return self.layer_hint
    name = name_given(node)
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
      return name.value
    if isinstance(name, ast.JoinedStr):
      fixed = "_".join(str(p.value).strip("_ ") for p in name.values if isinstance(p, ast.Constant)).strip("_")
      if fixed:
        return fixed
    maker, factory = self.maker_of(node), self.factory_of(node)
    if maker is not None:
      given = {id(v): f for f, v in self.given_arguments(self.site(node, ""))}
      for value in [*node.args, *[k.value for k in node.keywords]]:
        if isinstance(value, ast.Constant) and type(value.value) is str and value.value.isidentifier():
          if given.get(id(value)) in maker.gone:
            return value.value
    if made_by := maker.name if maker is not None else factory.node.name if factory is not None else "":
      return re.sub(r"^_*(make_|get_|build_|create_)?(?=[a-z])", "", snake(made_by))
    made = self.made_at(node)
    if made:
      return snake(type(made[0][2]).__name__)
    return _PREFIX.sub("", snake((dotted(node.func) or "layer").rpartition(".")[2])) or "layer"

  def make(self: Unit, node: ast.Call, hint: str) -> Site:
    """Turns a construction into an attribute; returns its site."""
    known = self.sites.get(node) or layer_made_before(self, node)
    if known is not None:
      return known
    site = self.site(node, "")
    site.joins = list_of_rounds(self, node)
    known_name = self.iterator or site.joins or attribute_of_other_way(self, node)
    site.attr, site.looped = known_name or self.attribute(hint), bool(self.loops)
    self.sites[node] = site
    self.prepare(site)
    self.settle_wrapped(site)
    site.reference = of_round(self, site) or self.reference(site.attr)
    self.readable.add(site.attr)
    self.emit(site, self.take_comments())
    return site

  def site_of(self: Unit, node: ast.AST) -> Site | None:
    """The site behind a called expression, if it is a local or attribute of this class."""
    if isinstance(node, ast.Name):
      local = self.env.get(node.id)
      return local.target if local is not None and isinstance(local.target, Site) else None
    return None

  def call_site(self: Unit, node: ast.Call, site: Site) -> str:
    """A call of a layer made in this class."""
    for argument in node.args:
      self.text(argument)  # names are settled left to right, before sizes are read off the arguments
    self.settle(site, node)
    self.make_after_sizes(site)
    return self._call_module(node, [m for _, _, m in site.made], site.reference, site)

  def _modules_called(self: Unit, node: ast.Call) -> list[Any]:
    events = self.events(node.func)
    if events and all(isinstance(e.value, nn.Module) for e in events):
      found = list({id(e.value): e.value for e in events}.values())
      self._settle_attribute(node, found)
      return found
    untraced = self._site_called(node) if not events else None
    if untraced is not None and (self.untraced or (not untraced.made and untraced in self.setup_sites)):
      self.learn(untraced, node)
    return owners_of_method(self, node)

  def _settle_attribute(self: Unit, node: ast.Call, modules: Sequence[Any]) -> None:
    """A call of a layer made in `setup` tells the layer's sizes."""
    modules = [*modules, *filter(None, map(first_inside, modules))]
    wanted = {id(m) for m in modules}
    for site in self.setup_sites:
      if any(id(m) in wanted or self.same_origin(m, modules) for _, _, m in site.made):
        self.learn(site, node)

  def _call_module(self: Unit, node: ast.Call, modules: Sequence[Any], function: str, site: Site | None) -> str:
    cls = type(modules[0]) if modules else None
    record = site.record if site is not None else None
    if cls is not None and self.project.stock_base(cls) is not None and self.project.info(cls) is not None:
      record = None  # a subclass's call is its own
    elif record is None and cls is not None:
      record = self.project.record(cls)
      if record is not None:
        record = record.choose(fields_of(modules[0]))
    method = "__call__"
    if record is not None and isinstance(node.func, ast.Attribute) and node.func.attr in dict(record.method_code):
      return method_text(self, node, record, list(modules))
    keywords = {k.arg for k in node.keywords}
    if record is not None:
      arguments = self._layer_arguments(node, record, cls, method)
    else:
      arguments = [self.argument_text(a) for a in [*node.args, *node.keywords]]
    residue = dict(site.residue) if site is not None else {}
    if site is None and isinstance(node.func, ast.Attribute):
      residue = self.attribute_residue.get(node.func.attr, {})
    info = self.project.info(cls) if cls is not None else None
    if info is not None:
      for field in self.project_residues(cls):
        if field not in residue and field in self.call_fields:
          residue[field] = field
    for field, text in residue.items():
      name = dict(record.call_args).get(field, field) if record is not None else field
      if field == EVERY:
        arguments.append(f"**{text}")
      elif field not in keywords and name is not None and not any(a.startswith(f"{name}=") for a in arguments):
        arguments.append(f"{name}={text}")
    plain = f"{function}({', '.join(arguments)})"
    given = [self.argument_text(a) for a in [*node.args, *node.keywords]]
    if arguments != given or fits_one_line(self.source, node, plain):
      return plain
    return self.respell(node, function)

  def respell(self: Unit, node: ast.Call, function: str) -> str:
    """The call as written, layout and comments included, with another function."""
    whole, end = "", self.source.span(node)[1]
    at = self.source.span(node.func)[1]
    for child in sorted([*node.args, *node.keywords], key=lambda c: self.source.span(c)[0]):
      a, b = self.source.span(child)
      whole += self.source.between(at, a) + self.argument_text(child)
      at = b
    return function + whole + self.source.between(at, end)

  def argument_text(self: Unit, node: ast.AST) -> str:
    """One argument, `name=` included."""
    if isinstance(node, ast.keyword):
      value = self.text(node.value)
      return f"{node.arg}={value}" if node.arg else f"**{value}"
    if isinstance(node, ast.Starred):
      return f"*{self.text(node.value)}"
    return self.text(node)

  def _layer_arguments(self: Unit, node: ast.Call, record: LayerMapping, cls: type | None, method: str) -> list[str]:
    order = parameters_of(cls, method) if cls is not None else list(record.call_positional)
    renamed, templates = dict(record.call_args), dict(record.call_code)
    arguments = []
    for i, value in enumerate(node.args):
      if isinstance(value, ast.Starred):
        arguments.append(self.argument_text(value))
        continue
      name = order[i] if i < len(order) else ""
      text = self.text(value)
      if name in templates:
        text = self.template(templates[name].replace("{value}", text))
      if name in record.call_keywords or name in renamed:
        if renamed.get(name, name) is not None:
          arguments.append(f"{renamed.get(name, name)}={text}")
        continue
      arguments.append(text)
    for keyword in node.keywords:
      if keyword.arg is None:
        arguments.append(self.argument_text(keyword))
        continue
      text = self.text(keyword.value)
      if keyword.arg in templates:
        text = self.template(templates[keyword.arg].replace("{value}", text))
      name = renamed.get(keyword.arg, keyword.arg)
      if name is not None:
        arguments.append(f"{name}={text}")
    return arguments


_PREFIX = re.compile(r"^_*(make|build|create|get)_|^_+")  # what says that a function makes something
