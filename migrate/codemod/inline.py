"""Functions and methods that make layers for their caller.

What they make is made by the caller's `__init__`, call by call; they take their layers, in order, from an iterator
that the caller hands them. A method that runs once in an instance keeps plain attributes.
"""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING, Any

from migrate.codemod.bound_arguments import bound_argument, hand_over
from migrate.codemod.closures import Helper, forget_closure, handed_on, note_closure, thing_given
from migrate.codemod.compound import Loop
from migrate.codemod.hygiene import kept_apart
from migrate.codemod.maker_nodes import find_definition, is_named_around
from migrate.codemod.remarks import comments_in, layout_call
from migrate.codemod.scope import Block, Local, Stmt
from migrate.codemod.settled import makes_first_values
from migrate.codemod.shared_steps import shared_step
from migrate.codemod.source import Source, children, defaults_of, dotted, key, names_in
from migrate.codemod.static import NotStatic
from migrate.codemod.written_out import write_out, written_out
from migrate.trace.facts import Activation

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class Inlining:
  """Handling of such functions, mixed into `Unit`."""

  def helper_called(self: Unit, node: ast.Call) -> Helper | None:
    """The layer-making function that a call calls, if it calls one."""
    name = dotted(node.func)
    if name is None or self.factory_of(node) is not None:
      return None
    self.note_method_call(node)
    if name in self.helpers:
      return self.helpers[name]
    if name.startswith(f"{self.self_name}.") and name.count(".") == 1 and self.self_name:
      short = name.partition(".")[2]
      definition = self.info.methods.get(short)
      if (
        definition is not None
        and not self.is_compact(definition)
        and short != "setup"
        and self.makes_layers(definition, self.source)
      ):
        helper = Helper("method", definition, self.source, f"{self.info.name}.{short}")
        self.helpers[name] = helper
        return helper
    return self._top_level_helper(node)

  def _top_level_helper(self: Unit, node: ast.Call) -> Helper | None:
    """A function at the top of a file that makes layers."""
    if self.no_sites or not self.events(node) or self.resolve(node.func) is None:
      return None
    found = self.project.called_function(self.source, node)
    if found is None or found[1].decorator_list:
      return None
    source, definition, qualname = found
    place = f"{source.path}:{qualname}"
    if place not in self.helpers and definition.args.kwarg is None and self.makes_layers(definition, source):
      names = self.names if source is self.source else self.names_of(source)
      self.helpers[place] = Helper("function", definition, source, qualname, names=names)
    return self.helpers.get(place)

  def is_compact(self: Unit, definition: ast.FunctionDef) -> bool:
    """Whether a method is decorated as compact."""
    return any("compact" in ast.unparse(d) for d in definition.decorator_list)

  def makes_layers(self: Unit, definition: ast.AST, source: Source, depth: int = 0) -> bool:
    """Whether a function's body makes modules, parameters or variables."""
    for inner in ast.walk(definition):
      if not isinstance(inner, ast.Call):
        continue
      if any((source.path, key(inner)) in f.created for f in self.project.facts):
        return True
      name = dotted(inner.func)
      if name is not None and name.endswith((".param", ".variable")):
        owners = {self.self_name or "self"} | {a.arg for a in ast.walk(definition) if isinstance(a, ast.arg)}
        if name.rpartition(".")[0] in owners and self.project.events(source, inner):
          return True
      if name is not None and depth < 4 and name.startswith("self.") and name.partition(".")[2] in self.info.methods:
        other = self.info.methods[name.partition(".")[2]]
        if other is not definition and not self.is_compact(other) and self.makes_layers(other, self.source, depth + 1):
          return True
      known = name in self.helpers and self.helpers[name].node is not definition
      if known or (depth < 4 and name is not None and self._calls_maker(source, inner, definition, depth)):
        return True
    return False

  def _calls_maker(self: Unit, source: Source, node: ast.Call, outer: ast.AST, depth: int) -> bool:
    """Whether a call is one of a function that makes layers, at the top of a file or in the same method."""
    for run in self.project.called_from.get((source.path, key(node)), [])[:1]:
      other = self.project.sources.get(run.file)
      definition = find_definition(other, run.qualname.rpartition(".")[2], run.line) if other is not None else None
      if other is None or definition is None or ("." in run.qualname and not is_named_around(source, node, definition)):
        continue
      if definition is not outer:
        return self.makes_layers(definition, other, depth + 1)
    return False

  def _nested(self: Unit, node: ast.stmt) -> str | None:
    """A function or class inside a method."""
    if not isinstance(node, ast.FunctionDef):
      return self.own_lines(node, self.compose(node, self.text))
    if self._local_factory(node.name, node):
      return ""
    if self.makes_layers(node, self.source) and not handed_on(self, node.name, node):
      note_closure(
        self, node.name, Helper("closure", node, self.source, node.name, written_out=written_out(self, node.name, node))
      )
      return f"CLOSURE__{node.name}_{node.lineno}__\n"
    forget_closure(self, node.name, node)
    if makes_first_values(self, node):
      if self._moves(node):
        return ""
      if self.reads_arrays(node) and not comments_in(self.source, node):  # zeros stand for what it makes
        self.env[node.name] = Local("dynamic", node)
        return ""
    saved, before, own_name = dict(self.env), self.parameters, self.self_name
    names = {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
    self.self_name = shared_step(self, node) or self.self_name
    stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for name in names | stored:
      self.env.pop(name, None)
    self.parameters = before | names | stored
    write = (
      self.given_function if self.event_filter and self.escaping.get(self.event_filter[-1]) else self.plain_function
    )
    try:
      text = self.in_rounds(node, lambda: write(node))
    finally:
      self.env, self.parameters, self.self_name = saved, before, own_name
    self.env[node.name] = Local("dynamic", node)
    self._moves(node)
    return text

  def _moves(self: Unit, node: ast.FunctionDef) -> bool:
    """Whether a function can stand in `__init__` too, and now does."""
    own = {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
    own |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    static = self._static_function(node, own)
    if static is None:
      return False
    self.block.append(Stmt(lambda: static, frozenset({node.name})))
    self.env[node.name] = Local("static", None)
    return True

  def _local_factory(self: Unit, name: str, node: ast.FunctionDef | ast.Lambda) -> bool:
    """A function of the method that makes layers uncalled moves to `__init__`."""
    maker = self.makers.defined(self, node) if self.makers is not None else None
    if maker is None or self.loops or self.in_setup:
      return False
    method = next((n for n in self.source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
    inner = ast.walk(method) if method else ()
    loads = [n for n in inner if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
    for load in loads:
      call = self.source.parents.get(load)
      if not isinstance(call, ast.Call) or call.func is not load or not self.events(call):
        return False
    text = maker.text if isinstance(node, ast.FunctionDef) else f"{name} = {maker.text}"
    text = "\n".join(line.removeprefix(self.source.indent(node)) for line in text.rstrip("\n").split("\n"))
    self.block.append(Stmt(lambda: text, frozenset({name}), comments=self.take_comments()))
    self.env[name] = Local("static", None)
    self.imports |= maker.imports
    self.templates |= maker.templates
    return True

  def plain_function(self: Unit, node: ast.FunctionDef) -> str:
    """A function that makes no layers, without Linen."""
    return (
      self.own_lines(node, self.compose(node, self.text))
      if not node.decorator_list
      else (
        "".join(self.source.indent(node) + "@" + self.text(d) + "\n" for d in node.decorator_list)
        + self.own_lines(node, self._without_decorators(node))
      )
    )

  def _without_decorators(self: Unit, node: ast.FunctionDef) -> str:
    text = ""
    at = self.source.span(node)[0]
    end = self.source.span(node)[1]
    for child in sorted(
      [c for c in children(node) if c not in node.decorator_list], key=lambda c: self.source.span(c)[0]
    ):
      a, b = self.source.span(child)
      if a < at:
        continue
      text += self.source.between(at, a) + self.text(child)
      at = b
    return text + self.source.between(at, end)

  def _static_function(self: Unit, node: ast.FunctionDef, own: set[str]) -> str | None:
    if node.decorator_list:
      return None
    self.first_value = makes_first_values(self, node)
    try:
      return self.static(node, frozenset(own | {node.name}))
    except NotStatic:
      return None
    finally:
      self.first_value = False

  def run_helper(self: Unit, node: ast.Call, helper: Helper, outer_call: ast.Call | None = None) -> str:
    """A call of a layer-making function: its layers are made in `__init__` here, the call hands them over.

    Args:
      node: the call.
      helper: the function.
      outer_call: the call of what it returns, `norm()(x)`: it tells the sizes of a layer that is returned.
    """
    if node in self.helper_calls:
      return self.helper_calls[node]  # an argument's text is asked for more than once
    for one in [*helper.others, helper]:
      text = self._run_one(node, one)
      for site in one.returned if outer_call is not None else ():
        self.settle(site, outer_call)
    self.helper_calls[node] = text
    return text

  def _run_one(self: Unit, node: ast.Call, helper: Helper) -> str:
    arguments = [self.argument_text(a) for a in [*node.args, *node.keywords]]
    if helper.written_out:
      return write_out(self, node, helper)
    if helper.busy:
      self.leave(node, f"{helper.qualname} calls itself and makes layers")
      return self.compose(node, self.text)
    once = (helper.kind == "method" or self._takes_self(node, helper)) and self._runs_once(helper) and not self.loops
    if once and helper.kind == "method" and not self.events(node) and self._runs_of(helper):
      return f"{dotted(node.func)}({', '.join(arguments)})"  # its layers are made for the call that examples come to
    inside = bool(self.iterator) and not once and helper.kind != "closure"  # goes on with the layers of the outer one
    if not once and not inside and not helper.layers:
      helper.layers = self.attribute(f"{thing_given(helper.qualname)}_layers")
      self.block_for_lists().append(Stmt(lambda: f"self.{helper.layers} = nnx.List([])", keep=True))
      self.need_import("from flax import nnx")
    helper.takes_layers = not once
    self.returned = None
    guards = [g for g in helper.guards if g != "True" and g not in self.guards]
    outer, self.block = self.block, [] if guards else self.block
    with kept_apart(self, helper.node):
      arguments += self._inline(node, helper, "" if once else self.iterator if inside else helper.layers)
    if guards and self.block:
      outer.append(Block([(lambda: f"if {' and '.join(guards)}:", self.block)]))
    self.block = outer
    if self.returned is not None:
      self._dims[node] = self.returned
      for name in {n for axis in self.returned for c in axis for n in names_in(c)} - {self.self_name} - self.parameters:
        if not name.startswith("SIZE__"):
          self.env.setdefault(name, Local("static", None))  # `__init__` has it from the layers just made
    name = dotted(node.func)
    if once:
      return f"{name}({', '.join(arguments)})"
    if not inside:
      self.method_iterators.add(helper.layers)
    if helper.kind == "closure":
      return f"{name}({', '.join(arguments)})"
    arguments.append(f"layers={self.handed_layers if inside else helper.layers}")
    indent = self.source.indent(node)
    return layout_call(str(name), arguments, indent, 90 - len(indent))

  def _takes_self(self: Unit, node: ast.Call, helper: Helper) -> str:
    """The parameter by which a function gets the module itself, empty where it does not."""
    if helper.kind not in ("function", "method") or not self.self_name:
      return ""
    plain = [a.arg for a in [*helper.node.args.posonlyargs, *helper.node.args.args]]
    if helper.kind == "method":  # `self._normalize(self, x)`: one of the two names is idle
      own, *plain = plain
      if any(isinstance(n, ast.Name) and n.id == own for n in ast.walk(helper.node)):
        return ""
    given = [*zip(plain, node.args, strict=False), *((k.arg or "", k.value) for k in node.keywords)]
    return next((n for n, v in given if isinstance(v, ast.Name) and v.id == self.self_name), "")

  def block_for_lists(self: Unit) -> list[Any]:
    """Where lists of layers are begun: before the outermost loop or condition, since the method begins to read them there."""
    if self.outer_blocks:
      return self.outer_blocks[0]
    return self.loops[0].before if self.loops else self.block

  def _runs_once(self: Unit, helper: Helper) -> bool:
    """Whether the method runs at most once whenever its class's methods run."""
    runs = self._runs_of(helper)
    if not runs:  # no example comes here: it is called where it is written
      return helper.kind == "method" and self._calls_of(helper) == 1
    counts: Counter[int] = Counter(id(a.parent) for a in runs)
    places = {a.call_position for a in runs}
    return max(counts.values()) == 1 and len(places) == 1

  def _runs_of(self: Unit, helper: Helper) -> list[Activation]:
    return self.project.activations.get((helper.source.path, helper.qualname), [])

  def _calls_of(self: Unit, helper: Helper) -> int:
    """In how many places of its file a method is called."""
    name = helper.qualname.rpartition(".")[2]
    return sum(isinstance(n, ast.Call) and dotted(n.func) == f"self.{name}" for n in ast.walk(self.source.tree))

  def _inline(self: Unit, node: ast.Call, helper: Helper, layers: str) -> list[str]:
    """Reads the function as this call runs it; returns the arguments that the call must give besides."""
    definition = helper.node
    outer = {
      n: getattr(self, n)
      for n in (
        "env",
        "parameters",
        "_dims",
        "assigned",
        "iterator",
        "handed_layers",
        "pending_comments",
        "conditions",
        "self_name",
        "output_call",
        "function_depth",
        "bound_names",
        "source",
        "names",
      )
    }
    self.bound_names = self.bound_names | {n for n, v in self.env.items() if v.kind == "static"}
    names = [a.arg for a in [*definition.args.posonlyargs, *definition.args.args]]
    inner_self = ""
    if helper.kind == "method" and names:
      inner_self, names = names[0], names[1:]
    taken = self._takes_self(node, helper)
    given = dict(zip(names, node.args, strict=False))
    given |= {k.arg: k.value for k in node.keywords if k.arg is not None}
    defaults = defaults_of(definition.args)
    every = [*names, *[a.arg for a in definition.args.kwonlyargs]]
    env: dict[str, Local] = dict(self.env) if helper.kind == "closure" else {}
    for name in every:
      if name in given:
        env[name] = bound_argument(self, name, given[name])
      else:
        with self.reading_in(helper.source, helper.names or self.names):
          env[name] = bound_argument(self, name, defaults.get(name))
    if taken:
      inner_self = taken
      every.remove(taken)
      env.pop(taken)
    handed = hand_over(self, node, helper, env, every)
    stored = {n.id for n in ast.walk(definition) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    self.env = env
    self.parameters = (
      (self.parameters if helper.kind == "closure" else set()) | set(every) | {*(helper.left or {}).values()}
    )
    for name in stored - set(every):
      self.env.pop(name, None)
    self._dims = {}
    self.assigned = Counter(
      n.id for n in ast.walk(definition) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    )
    self.self_name = inner_self or (self.self_name if helper.kind == "closure" else "")
    self.iterator, self.handed_layers = layers, helper.layers if helper.kind == "closure" else "layers"
    self.source, self.names = helper.source, helper.names or self.names
    imports, self.imports, templates, self.templates = self.imports, set(), self.templates, set()
    self.event_filter.append(key(node))
    if helper.kind != "closure" and len({a.call_position for a in self._runs_of(helper)}) == 1:
      self.escaping[key(node)] = f"{helper.qualname}.<locals>."
    self.function_depth += 1
    helper.busy = True
    loops, self.loops = self.loops, [Loop(None, before=self.block_for_lists())] if layers else self.loops
    fresh_sites, self.sites = self.sites, {} if layers or helper.written_out else self.sites
    calls, self.helper_calls = self.helper_calls, {}
    try:
      if isinstance(definition, ast.Lambda):
        helper.text = self.text(definition.body)
        self.returned = self.dims(definition.body)
      else:
        helper.text = self.body(definition.body)
    finally:
      helper.busy = False
      helper.imports |= self.imports
      helper.templates |= self.templates
      self.imports, self.templates = imports | self.imports, templates | self.templates
      self.event_filter.pop()
      self.loops = loops
      self.inner_sites += self.sites.values() if self.sites is not fresh_sites else ()
      helper.returned = [self.sites[v] for v in _returned(definition) if v in self.sites]
      self.sites, self.helper_calls = fresh_sites, calls
      for name, value in outer.items():
        setattr(self, name, value)
    return handed


def _returned(definition: ast.AST) -> list[ast.AST]:
  """The values that a function may return."""
  if isinstance(definition, ast.Lambda):
    return [definition.body]
  return [n.value for n in ast.walk(definition) if isinstance(n, ast.Return) and n.value is not None]
