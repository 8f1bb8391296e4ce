"""Lists of layers and functions that a method fills only to hand them to `nn.Sequential`.

The list moves to `__init__` whole. Each layer takes its size from the one before, the first from what the
`Sequential` is called with.
"""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.own_sizes import counts_itself
from migrate.codemod.scope import Local, Stmt
from migrate.codemod.site import Site
from migrate.trace.facts import ArraySpec

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_GROWING = ("append", "extend")

_PASSED_ON = {"layer_instance", "cell", "forward_rnn", "backward_rnn"}  # children that get the wrapper's own input


class Pipelines:
  """Handling of such lists, mixed into `Unit`."""

  def pipeline_begins(self: Unit, node: ast.stmt, name: str, value: ast.expr) -> bool:
    """Takes over `layers = []` or `layers = [nn.Dense(3), nn.relu]`; False where the list has other uses."""
    if not isinstance(value, ast.List) or self.loops or self.conditions or self.in_setup or self.no_sites:
      return False
    maker = self._sequential_of(node, name)
    if maker is None:
      self._list_begins(node, name)
      return False
    made = self.made_at(maker)
    inside = [(a, [m for m in s.layers if isinstance(m, nn.Module)]) for a, _, s in made]
    if not self._carries(name, maker, inside):
      return False
    self.pipelines[name] = self.carried[name]
    text = self.in_list(name, value)
    self.block.append(Stmt(lambda: f"{name} = {text}", frozenset({name})))
    self.env[name] = Local("static", value)
    return True

  def pipeline_grows(self: Unit, name: str, value: ast.expr, how: str) -> None:
    """`layers.append(...)` and the like, in `__init__`."""
    text = self.in_list(name, value)
    made = f"{name} += {text}" if how == "+=" else f"{name}.{how}({text})"
    self.block.append(Stmt(lambda: made, frozenset(), mutates=name))

  def module_container(self: Unit, text: str, value: ast.AST) -> str:
    """`nnx.List(...)` or `nnx.Dict(...)` around layers; a layer alone, as a condition gives it, stays alone."""
    given = self.given_by(value) if isinstance(value, ast.Call) else [e.value for e in self.events(value)]
    if given and all(isinstance(v, nn.Module) for v in given):
      return text
    self.need_import("from flax import nnx")
    return f"nnx.Dict({text})" if given and isinstance(given[0], Mapping) else f"nnx.List({text})"

  def in_list(self: Unit, name: str, value: ast.expr) -> str:
    """Items of a list, for `__init__`: each layer takes its size from the one before, where that is so."""
    if name not in self.carried:
      return self.static(value)
    saved, self.pipeline = self.pipeline, name
    try:
      return self.static(value)
    finally:
      self.pipeline = saved

  def pipeline_sizes(self: Unit, site: Site) -> None:
    """Settles a layer of the list from the one before."""
    local = self.env[self.carried[self.pipeline]]
    for need in site.needs:
      if need.axis == 1 and local.dims and local.dims[0]:
        site.texts[need.parameter] = local.dims[0][0]
        site.names |= {local.dims[0][0]}

  def pipeline_passes(self: Unit, site: Site) -> None:
    """Notes what the layer gives to the next one."""
    key = self.carried[self.pipeline]
    if self.produced and self.produced[-1][0] is site:
      self.env[key] = Local("array", None, [[self.produced[-1][1]]])

  def passes_features(self: Unit, site: Site, known: int) -> None:
    """A layer that gives as many features as it gets, such as a norm: the next one of a list gets them.

    Args:
      site: the layer.
      known: how many layers had told their features before this one was read.
    """
    outputs = [self.project.output_features(m) for _, _, m in site.made]
    for need in site.needs if len(self.produced) == known and outputs and None not in outputs else ():
      if need.axis == 1 and need.values == outputs:
        self.produced.append((site, site.texts[need.parameter]))
        return

  def _sequential_of(self: Unit, node: ast.stmt, name: str) -> ast.Call | None:
    """The one `nn.Sequential(name)` that a list is made for."""
    method = next((n for n in self.source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
    found: list[ast.Call] = []
    grown = False
    for use in ast.walk(method) if method is not None else ():
      if not isinstance(use, ast.Name) or use.id != name:
        continue
      parent = self.source.parents[use]
      if isinstance(use.ctx, ast.Store):
        if parent is not node and not isinstance(parent, ast.AugAssign):
          return None
        grown = grown or isinstance(parent, ast.AugAssign)
        continue
      call = self.source.parents[parent]
      if isinstance(parent, ast.Attribute) and parent.attr in _GROWING and isinstance(call, ast.Call):
        if not isinstance(self.source.parents[call], ast.Expr):
          return None
        grown = True
        continue
      maker = call if isinstance(parent, ast.Starred) else parent
      if not isinstance(maker, ast.Call) or not self._makes_sequential(maker):
        return None
      found.append(maker)
    return found[0] if len(found) == 1 and grown else None

  def _makes_sequential(self: Unit, node: ast.Call) -> bool:
    made = self.made_at(node)
    return bool(made) and all(type(m) is nn.Sequential for _, _, m in made)

  def call_of_wrapper(self: Unit, site: Site) -> ast.Call | None:
    """What a layer inside `nn.WeightNorm(nn.Dense(4))(x)` or `nn.RNN(nn.GRUCell(4))(x)` is called with, as a call of its own."""
    outer: ast.AST = site.node
    while True:
      place = self.inlined_at.get(outer, outer)
      above = self.source.parents.get(self._where_read(place) if outer is site.node else place)
      first = isinstance(above, ast.List | ast.Tuple) and above.elts[0] is outer  # of what a `Sequential` calls
      above = self.source.parents.get(above) if first and above is not None else above
      above = self.source.parents.get(above) if isinstance(above, ast.keyword) else above
      if not isinstance(above, ast.Call) or above.func is outer:
        break
      made = {self.project.plain(type(m)) for _, _, m in self.made_at(above)}
      records = [self.project.record(c) for c in made] or [self.untraced_layer(above)]
      passed_on = {n for n, _ in records[0].children} if len(records) == 1 and records[0] is not None else set()
      if not passed_on & (_PASSED_ON | {"layers"} if first else _PASSED_ON):
        return None
      outer = above
    if outer is site.node:
      return None
    given = first_given(above) if isinstance(above, ast.Call) else self._given_by_name(outer, above)
    if given is None:
      return None
    names = {n.call_parameter for n in site.needs if n.call_parameter is not None}
    return ast.Call(site.node, [given], [ast.keyword(n, given) for n in sorted(names)])

  def settle_wrapped(self: Unit, site: Site) -> None:
    """Settles the sizes of a layer with a name that another one calls: `cell` of `nn.RNN(cell)(x)`."""
    if (call := self.call_of_wrapper(site)) is not None:
      self.settle(site, call)

  def _where_read(self: Unit, made: ast.AST) -> ast.AST:
    """Where a layer is an argument of another call: `cell` of `cell = nn.GRUCell(4)` in `nn.RNN(cell)`."""
    statement = self.source.parents.get(made)
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    if made not in self.sites or not isinstance(target, ast.Name):
      return made
    method = next((n for n in self.source.enclosing(made) if isinstance(n, ast.FunctionDef)), made)
    read = [n for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == target.id]
    if sum(not isinstance(n.ctx, ast.Load) for n in read) > 1:
      return made
    around = [(n, self.source.parents.get(n)) for n in read]
    given = [n for n, a in around if isinstance(a, ast.Call | ast.keyword) and n is not getattr(a, "func", None)]
    return given[0] if given else made

  def _given_by_name(self: Unit, made: ast.AST, statement: ast.AST | None) -> ast.expr | None:
    """What `rnn = nn.RNN(cell)` is called with further down, if that is known where it is made."""
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
      return None
    name = statement.targets[0].id
    method = next((n for n in self.source.enclosing(made) if isinstance(n, ast.FunctionDef)), None)
    read = [n for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == name] if method is not None else []
    calls = [n for n in ast.walk(method) if isinstance(n, ast.Call) and n.func in read] if method is not None else []
    if method is None or not calls or sum(not isinstance(n.ctx, ast.Load) for n in read) > 1:
      return None
    given = first_given(min(calls, key=lambda c: (c.lineno, c.col_offset)))
    return given_later(method, made, given) if given is not None else None

  def call_soon(self: Unit, site: Site) -> ast.Call | None:
    """The first call of a layer further down, where what it is called with is known already."""
    around = next((n for n in self.source.enclosing(site.node) if not isinstance(n, ast.IfExp)), site.node)
    chosen = [c for c in ast.iter_child_nodes(around) if isinstance(c, ast.IfExp)]
    # a branch that never ran is called with what the other one is
    modules = [m for _, _, m in site.made] or [
      e.value for c in chosen for e in self.events(c) if isinstance(e.value, nn.Module)
    ]
    method = next((n for n in self.source.enclosing(site.node) if isinstance(n, ast.FunctionDef)), None)
    for call in ast.walk(method) if method is not None and not self.pipeline and not self.loops else ():
      if not isinstance(call, ast.Call) or not call.args:
        continue
      firsts = [first_inside(e.value) for e in self.events(call.func) if type(e.value) is nn.Sequential]
      if firsts and all(any(f is m for m in modules) for f in firsts):  # what a `Sequential` calls with its own input
        given = given_later(method or call, site.node, call.args[0])
        return ast.Call(site.node, [given], []) if given is not None else None
      if not isinstance(call.args[0], ast.Name):
        continue
      if not any(e.value is m or self.same_origin(e.value, [m]) for e in self.events(call.func) for m in modules):
        continue
      name, begin, end = call.args[0].id, site.node.lineno, call.lineno
      stores = [n.lineno for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == name and not isinstance(n.ctx, ast.Load)] if method else []  # fmt: skip
      return call if end >= begin and not any(begin < s < end for s in stores) else None
    return None

  def _list_begins(self: Unit, node: ast.stmt, name: str) -> None:
    """A list that is filled with layers here and called through later: sizes go from one to the next."""
    method = next((n for n in self.source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
    inside: dict[int, tuple[Any, list[tuple[int, Any]]]] = {}
    items: list[ast.expr] = []
    for call in ast.walk(method) if method is not None else ():
      if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "append":
        continue
      if not isinstance(call.func.value, ast.Name) or call.func.value.id != name or len(call.args) != 1:
        continue
      items.append(call.args[0])
    if counts_itself(self, items):
      return
    for item in items:
      for activation, _, module in self.made_at(item):
        calls = self.project.calls_of(module)
        if not calls:
          return
        inside.setdefault(id(activation), (activation, []))[1].append((calls[0].number, module))
    runs = [(a, [m for _, m in sorted(ms, key=lambda p: p[0])]) for a, ms in inside.values()]
    if runs and all(len(ms) > 1 for _, ms in runs):
      self._carries(name, node, runs)

  def _carries(self: Unit, name: str, maker: ast.AST, inside: list[tuple[Any, list[Any]]]) -> bool:
    """Begins to carry the size through a list, given the layers of every run; False where it is not handed on."""
    key = f"{name}_"
    if not inside or key in self.env or not self._runs_through([ms for _, ms in inside]):
      return False
    start = self._pipeline_start(name, maker, inside)
    self.carried[name] = key
    self.env[key] = Local("array", None, [[start] if start else []])
    return True

  def _runs_through(self: Unit, made: list[list[Any]]) -> bool:
    """Whether each layer gets what the one before gave, as arrays whose last axis is what it must be told."""
    for modules in made:
      calls = [self.project.calls_of(m) for m in modules]
      if any(not c or not isinstance(c[0].output, ArraySpec) for c in calls):
        return False
      for before, after in itertools.pairwise(calls):
        given = after[0].args[0] if after[0].args else None
        if not isinstance(given, ArraySpec) or not given.shape or given.shape[-1] != before[0].output.shape[-1]:
          return False
    return True

  def _pipeline_start(self: Unit, name: str, maker: ast.AST, inside: list[tuple[Any, list[Any]]]) -> str | None:
    """What the first layer is given."""
    firsts: list[tuple[Any, Any, Any]] = []
    for activation, modules in inside:
      calls = self.project.calls_of(modules[0]) if modules else []
      given = calls[0].args[0] if calls and calls[0].args else None
      if not isinstance(given, ArraySpec) or not given.shape:
        return None
      firsts.append((activation, modules[0], given.shape[-1]))
    site = Site(name, ast.Call(ast.Name(name), [], []), [(a, 0, m) for a, m, _ in firsts], None)
    values = [v for _, _, v in firsts]
    argument = self._what_it_gets(maker)
    local = self.env.get(argument.id) if isinstance(argument, ast.Name) else None
    later = argument if local is None else None
    method = next((n for n in self.source.enclosing(maker) if isinstance(n, ast.FunctionDef)), None)
    later = given_later(method, maker, later) if later is not None and method is not None else None
    dims = self.dims(later) if later is not None else local.dims if local is not None else None
    offered = list(dims[-1]) if dims else []
    offered = [c for c in offered if self.available(c)] + self.chain_starts(firsts)
    found = next((c for c in offered if self.holds(site, c, values)), None)
    return found if found is not None else self.hoist(site, "in_features", values)

  def _what_it_gets(self: Unit, maker: ast.AST) -> ast.expr | None:
    """The argument of `nn.Sequential(layers)(x)`, or of `net(x)` where that was `net`."""
    parent = self.source.parents.get(maker)
    if isinstance(parent, ast.Call) and parent.func is maker and parent.args:
      return parent.args[0]
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name) and isinstance(maker, ast.Call):
      method = next((n for n in self.source.enclosing(maker) if isinstance(n, ast.FunctionDef)), None)
      for call in ast.walk(method) if method is not None else ():
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == parent.targets[0].id:
          return call.args[0] if call.args else None
    return None


def given_later(method: ast.AST, made: ast.AST, given: ast.expr) -> ast.expr | None:
  """What a call further down is given first, as an expression that means the same where the layer is made."""
  stores = [n for n in ast.walk(method) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)]
  begin, end = made.lineno, getattr(given, "lineno", 0)  # pyright: ignore[reportAttributeAccessIssue]
  if isinstance(given, ast.Name):
    between = [n for n in stores if n.id == given.id and begin < n.lineno < end]
    source = [s for s in getattr(method, "body", ()) if isinstance(s, ast.Assign) and s.targets[0] in between]
    if between and (len(between) > 1 or len(source) != 1 or len([n for n in stores if n.id == given.id]) > 1):
      return None
    given = source[0].value if between and isinstance(source[0], ast.Assign) else given
  names = {n.id for n in ast.walk(given) if isinstance(n, ast.Name)}
  return None if any(n.id in names and begin < n.lineno < end for n in stores) else given


def first_given(call: ast.Call) -> ast.expr | None:
  """The first argument of a call, where it is one array."""
  return call.args[0] if call.args and not isinstance(call.args[0], ast.Starred) else None


def first_inside(module: Any) -> Any:
  """The layer that a `Sequential` hands its input to, if it begins with one."""
  while type(module) is nn.Sequential and module.layers:
    module = module.layers[0]
    if type(module) is not nn.Sequential:
      return module if isinstance(module, nn.Module) else None
  return None
