"""Functions of a training program: read where they are called, with what they are given."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any

from migrate.codemod.imports_uses import bound_names
from migrate.codemod.training.analysis import Analysis, Result
from migrate.codemod.training.kinds import sign, with_token
from migrate.codemod.training.meanings import Meanings
from migrate.codemod.training.parameters import Parameters
from migrate.codemod.training.program import Scope
from migrate.codemod.training.values import (
  EFFECT,
  NOTHING,
  PLAIN,
  PLAINLY,
  Apply,
  Form,
  Function,
  Held,
  Left,
  Part,
  Plain,
  Recipe,
  Record,
  Self,
  Token,
  Value,
  Wrap,
  hides,
  leaves,
  lower,
  outermost,
  parts,
  special,
  tokens,
)
from migrate.codemod.training.wraps import constant, keyword_value

GRADS = {"jax.grad": "grad", "jax.value_and_grad": "value_and_grad"}
PARTIAL = "functools.partial"
NUMBERED = ("static_argnums", "donate_argnums", "argnums")


class Functions(Parameters, Meanings):
  """Calls of the program's functions, and what becomes of their arguments and of what they return."""

  def decorated(self, function: Function) -> Function:
    """A function with what its decorators make of it."""
    wraps: list[Wrap] = []
    for node in reversed(getattr(function.node, "decorator_list", [])):
      if ast.unparse(node) in ("staticmethod", "classmethod", "property"):
        continue
      call = node if isinstance(node, ast.Call) else None
      name: ast.expr = node.func if call is not None else node
      if call is not None and self.program.full(function.outer, name) == PARTIAL and call.args:
        name = call.args[0]
      full = self.program.full(function.outer, name)
      kind = GRADS.get(
        full or "",
        {"jax.jit": "jit", "jax.pmap": "pmap", "jax.vmap": "vmap", "jax.checkpoint": "remat", "jax.remat": "remat"}.get(
          full or "", "other"
        ),
      )
      wraps.append(Wrap(kind, name, call, function.unit))
    return dataclasses.replace(function, wraps=tuple(wraps)) if wraps else function

  def call_function(self, function: Function, node: ast.Call) -> Result:
    """The call of a function of the program."""
    meant = self.mean_over_devices(function, node)
    if meant is not None:
      return meant
    values: list[Value] = []
    forms: list[Form] = []
    for argument in [*node.args, *(k.value for k in node.keywords)]:
      value, form = self.eval(argument.value if isinstance(argument, ast.Starred) else argument)
      values.append(value)
      forms.append(form)
    self.given_twice(node, values)
    given = self._bound(function, node, values)
    if given is None:
      if any(map(special, values)):
        raise self.left(node, f"arguments of {_name(function)} that can't be told apart", "give them one by one")
      given = {}
    held = any(map(special, given.values()))
    arguments = function.node.args
    defaults = zip([*arguments.posonlyargs, *arguments.args][::-1], arguments.defaults[::-1], strict=False)
    for argument, default in defaults if held else ():
      if isinstance(default, ast.Constant) and default.value is None:
        given.setdefault(argument.arg, NOTHING)
    if held and any(w.kind in ("other", "vmap") for w in function.wraps):
      raise self.left(node, f"{_name(function)} is wrapped in something that has no rule", "unwrap it, or rewrite it by hand")  # fmt: skip
    own = getattr(function.node, "decorator_list", [])
    method = function.bound is not None or any(w.kind == "partial" and w.call is None for w in function.wraps)
    if held and method and any(w.call not in own and keyword_value(w.call, k) is not None for w in function.wraps for k in NUMBERED):  # fmt: skip
      raise self.left(node, f"{_name(function)}, a method whose arguments are given by number", "decorate the method")
    grad = next((w for w in function.wraps if w.kind in ("grad", "value_and_grad")), None)
    inner = self._differentiated(function, grad, given, node) if grad is not None and held else []
    meant = self.note_arguments(function, node)
    pending = set(self.pending)
    devices = next((w for w in function.wraps if w.kind == "pmap"), None) if held else None
    spread = self.enter_devices(devices, function, given, node) if devices is not None else self.spread
    entry = self.entry
    if function.bound is not None and function.bound.scope.node in self.opened:
      self.entry = function.node.name if isinstance(function.node, ast.FunctionDef) else ""
    analysis, table = self.analyse(function, given, node)
    self.entry = entry
    self.spread = spread if devices is not None else self.spread
    owner = function.unit.owner(function.node)
    if owner in self.masks:
      self.masks.add(self.here())
      self.link(self.here(), owner)
    value = self.settled(function, node, with_token(analysis.value, table, self.epochs), pending)
    for token in (table.get(t, t) for t in analysis.modules):
      token.bound = {**token.bound, **meant}
    if any(w.kind == "vmap" for w in function.wraps):
      outside = {*analysis.changed, *analysis.pending} - self.created.get(self.read_in[function.node], set())
      if special(value) or outside:
        self.link(self.here(), owner)
        raise self.left(node, "jax.vmap of a function that makes or changes a model", "return the parameters' results, or write it by hand")  # fmt: skip
    fresh = {table.get(t, t) for t in analysis.fresh}
    self.created.setdefault(self.scope, set()).update(fresh)
    self.scope.hidden |= {t for v in parts(value) if isinstance(v, Record) for t in tokens(v) if t in fresh}
    optimized = {table.get(t, t) for t in analysis.optimized}
    self.optimized_in.setdefault(self.scope, set()).update(optimized)
    if not held and not special(analysis.value):
      if hides(value):
        self.link(self.here(), function.unit.owner(function.node))
      return value, PLAINLY
    for owner in (function.unit.owner(function.node), *(t.owner for t in table)):
      self.link(self.here(), owner)
    for wrap in function.wraps:
      self.rewrap(wrap, analysis, value)
    if devices is not None:
      self.on_devices(devices, function, analysis, value, node)
    if held:
      by_name = devices is None or not any(w.kind == "partial" for w in function.wraps)
      self._arguments(node, analysis, positional(function), forms, table, by_name)
    value = self.graded(grad, value, inner)
    low = lower(value, outermost(fresh | {("optimizer", t) for t in optimized}, value))
    return value, EFFECT if not low else low[0] if len(low) == 1 else ("tuple", low)

  # ---- arguments

  def _bound(self, function: Function, node: ast.Call, values: list[Value]) -> dict[str, Value] | None:
    arguments = function.node.args
    names = positional(function)
    given: dict[str, Value] = {n: v for w in function.wraps for n, v in w.bound.items()}
    if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
      return None
    if function.bound is not None:
      given["self" if not arguments.args else [*arguments.posonlyargs, *arguments.args][0].arg] = function.bound
    for i, value in enumerate(values[: len(node.args)]):
      if i < len(names):
        given[names[i]] = value
      elif special(value):
        return None
    known = {*(a.arg for a in ast.walk(arguments) if isinstance(a, ast.arg))}
    for keyword, value in zip(node.keywords, values[len(node.args) :], strict=True):
      if keyword.arg in known:
        given[str(keyword.arg)] = value
      elif special(value):
        return None
    return given

  def _differentiated(self, function: Function, grad: Wrap, given: dict[str, Value], node: ast.Call) -> list[Token]:
    """Marks the arguments that a function is differentiated by. Returns their models."""
    index = constant(keyword_value(grad.call, "argnums"), 0)
    names = positional(function)
    found: list[Token] = []
    for i in index if isinstance(index, tuple) else (index,):
      value = given.get(names[i]) if isinstance(i, int) and i < len(names) else None
      if not isinstance(value, Part) or value.collection != "params" or value.token in found:
        raise self.left(node, "a gradient by something else than a model's parameters", "differentiate by state.params")
      given[names[i]] = dataclasses.replace(value, inner=True)
      found.append(value.token)
    inner = {t for i in found for t in (i, *i.inside())}
    for name in names:
      value = given.get(name, PLAIN)
      several = isinstance(value, Record) or (
        not getattr(value, "inner", False) and any(t.members for t in tokens(value))
      )
      if several and inner & set(tokens(value)):
        raise self.left(node, f"`{name}`, which has the model in it that is differentiated by", "give what else is used of it", "L2N403")  # fmt: skip
    return found

  def _arguments(
    self,
    node: ast.Call,
    analysis: Analysis,
    order: list[str],
    forms: list[Form],
    table: dict[Token, Token],
    by_name: bool = True,
  ) -> None:
    """Rewrites the arguments of a call."""
    texts: list[str] = []
    arguments = [*node.args, *(k.value for k in node.keywords)]
    names = [*order[: len(node.args)], *[None] * (len(node.args) - len(order)), *(k.arg for k in node.keywords)]
    hoisted: set[Token] = set()
    for argument, name, form in zip(arguments, names, forms, strict=True):
      kept = [table.get(f[1], f[1]) for f in analysis.emits.get(name or "", [PLAINLY]) if len(f) > 1]
      if name in analysis.emits and form is not None and form[0] == "model" and form[1] not in kept:
        self.put_before(node, f"{self.model(form[1], argument)} = {self.file.text(argument)}")
        hoisted.add(form[1])  # `f(model, model.init(key, x))`: made above, and given as the first of the two
    for i, argument in enumerate(arguments):
      keyword = node.keywords[i - len(node.args)].arg if i >= len(node.args) else None
      name = names[i]
      emits = analysis.emits.get(name or "")
      if emits is None:
        text = self.file.text(argument)
        texts.append(f"{keyword}={text}" if keyword and by_name else text)
        continue
      for form, inside in zip(emits, analysis.names[name or ""], strict=True):
        token = table.get(form[1], form[1]) if len(form) > 1 else None
        if form == PLAINLY:
          text = self.file.text(argument)
        elif token in hoisted and form[0] == "model":
          assert token is not None
          text = self.model(token, argument)
        elif forms[i] is not None and forms[i] != PLAINLY and len(emits) == 1:
          text = self.file.text(argument)  # the expression makes it
        elif forms[i] is not None and forms[i] != PLAINLY:
          raise self.left(argument, "a training state made inside a call", "give it a name first")
        else:
          assert token is not None
          text = self.model(token, argument) if form[0] == "model" else self.optimizer(token, argument)
        texts.append(f"{inside}={text}" if keyword and by_name else text)
    if analysis.extra and node.keywords:
      raise self.left(node, "arguments by name for a function that is given one more model", "give them by position")
    texts = [self.model(table.get(t, t), node) for t in analysis.leading] + texts
    texts += [self.model(table.get(t, t), node) for t in analysis.extra]
    self.file.replace(node, self.call_text(node, self.file.text(node.func), texts))

  # ---- reading a function

  def analyse(self, function: Function, given: dict[str, Value], node: ast.AST) -> tuple[Analysis, dict[Token, Token]]:
    """What is known of a function, read now if it was not; and which model here is which one there."""
    order: list[Token] = []
    signature: tuple[Any, ...] = tuple(
      (n, sign(v, order)) for n, v in sorted(given.items()) if any(isinstance(x, Held) for x in leaves(v))
    )
    spread = tuple(i for i, t in enumerate(order) if t in self.spread)
    signature += (("devices", spread),) if spread else ()
    known = self.analysed.get(function.node)
    if known is not None and known.done and known.signature == signature and any(_inner(given)):
      if _inner(known.given) != _inner(given):
        known = None  # differentiated here: read again, as that asks for more
    if known is not None and (known.done or known.signature == signature):
      if not known.done:
        if signature:
          raise self.left(node, f"{_name(function)} calls itself", "rewrite it by hand")
        return known, {}
      if known.signature != signature:
        raise self.left(node, f"{_name(function)} is called with other kinds of arguments elsewhere",
                        "call it in one way, or write two functions")  # fmt: skip
      asks = bool(signature) or function.unit.owner(function.node) in self.modelled
      for name, value in given.items() if asks else ():
        told = known.given.get(name, value)
        if value != told and any(isinstance(v, Plain) and v.full in ("dict", "None") for v in (value, told)) and not special(value):  # fmt: skip
          raise self.left(node, f"{_name(function)} is given other keys, or None, in `{name}` elsewhere", "give the same RNG streams in every call")  # fmt: skip
        if not self._same_class(value, told):
          raise self.left(node, f"{_name(function)} is given another class in `{name}` elsewhere", "write two functions, or make the module outside", "L2N402")  # fmt: skip
      if any(isinstance(v, Self) and known.given.get(n) is not v for n, v in given.items()):
        raise self.left(node, f"{_name(function)} is given another object elsewhere", "write two functions")
      followed = function.bound is not None and function.bound.scope.node in self.opened
      in_class = function.bound is None and isinstance(function.unit.source.parents.get(function.node), ast.ClassDef)
      top = function.unit.owner(function.node) is function.node or followed or in_class
      table = dict(zip(known.tokens, order, strict=True))
      for token in known.modules:
        table.setdefault(token, dataclasses.replace(token, names=[], initialised=False, optimized=False, fields={}))
      if not top and any(t is not o and t in known.closed for t, o in table.items()):
        raise self.left(node, f"{_name(function)}, which speaks of one model by itself, is given another", "give it all that it uses")  # fmt: skip
      if top:
        for old, new in table.items():
          self._made_there(old, new, node)
        for token in known.fresh:
          held = table.get(token, token)
          table[token] = dataclasses.replace(held, names=[]) if held is token or held.initialised else held
        self.groups += [new for old, new in table.items() if new.members and new not in self.groups]
        for new in table.values():
          new.members = {k: table.get(m, m) if m is not None else None for k, m in new.members.items()}
        for old, new in table.items():
          new.initialised, new.optimized = old.initialised, old.optimized
          new.fields |= old.fields
          new.streams |= old.streams
      self.pending |= {table.get(t, t) for t in known.pending}
      self.spread -= {table.get(t, t) for t, on in known.spread.items() if not on}
      self.spread |= {table.get(t, t) for t, on in known.spread.items() if on}
      for token in known.moves:
        self.changes(table.get(token, token), node)
      for token in (t for t in known.changed if not t.members):
        self.advance(table.get(token, token))
      if function.bound is not None:
        self.refresh(function.bound)
      return known, table
    analysis = Analysis(signature, order, given)
    self.analysed[function.node] = analysis
    self._read(function, analysis)
    return analysis, {}

  def _read(self, function: Function, analysis: Analysis) -> None:
    node = function.node
    scope = Scope(function.unit, function.outer, node)
    every = [a for a in ast.walk(node.args) if isinstance(a, ast.arg)]
    body: list[Any] = node.body if isinstance(node.body, list) else [node.body]
    scope.locals = bound_names(body) | {a.arg for a in every}
    scope.values = {**dict.fromkeys((a.arg for a in every), PLAIN), **analysis.given}
    scope.given = {t for v in analysis.given.values() if special(v) for t in tokens(v) if _runs(v)}
    held = [v for g in analysis.given.values() for v in parts(g)]
    scope.hidden = {t for v in held if isinstance(v, Record) for t in tokens(v)} - {t for v in held if not isinstance(v, Record) for t in tokens(v)}  # fmt: skip
    scope.wrapped = bool(function.wraps)
    scope.inner = {
      t for g in analysis.given.values() for v in leaves(g) if getattr(v, "inner", False) for t in tokens(v)
    }
    before = dict(self.epochs)
    scope.lifted = any(w.kind != "partial" for w in function.wraps) or bool(scope.inner) or node in self.traced
    saved = (self.scope, self.statement, self.before, self.nested, set(self.pending), set(self.half_kept))
    self.scope = scope
    self.frames.append(scope)
    self.read_in[node] = scope
    if not isinstance(node, ast.Lambda):
      self.statement, self.before, self.nested = node, [], 0
    elif node in self.branches:
      self.before, self.nested = [], 0
    else:
      self.nested += 1
    try:
      self._parameters(function, analysis, scope)
      if isinstance(node, ast.Lambda):
        value, _ = self.eval(node.body)
        scope.returned.append((None, value))
        if node in self.branches:
          analysis.lines = self.before
          if special(value) and not lower(value, set()):
            self.file.replace(node.body, "None")
      else:
        self.block(node.body)
      analysis.value = self._returned(scope, node)
      if function.bound is not None:
        if not any(map(special, analysis.given.values())):  # else its caller puts back what it gave
          self.settle(function.bound, node)
      if isinstance(node, ast.FunctionDef):
        self._annotation(node, analysis, scope)
      if self.lost(scope, analysis.value, saved[4], saved[5]):
        raise self.left(node, "statistics that a call changes are thrown away", "call with train=False, or keep them", "L2N404")  # fmt: skip
    except Left as error:
      self.findings.append((function.unit.owner(node), error.finding))
      analysis.value = PLAIN
    finally:
      analysis.fresh = {t for t in tokens(analysis.value) if t in self.created.get(scope, ())}
      analysis.optimized = {t for t in tokens(analysis.value) if t in self.optimized_in.get(scope, ())}
      analysis.closed = scope.closed
      mine = {v.token for v in leaves(analysis.value) if isinstance(v, (Recipe, Apply)) and not v.token.initialised}
      analysis.modules = mine - set(analysis.tokens)
      analysis.changed = {t for t in self.epochs if self.epochs[t] != before.get(t, 0)}
      analysis.pending = self.pending - saved[4]
      analysis.spread = {t: t in self.spread for t in {*analysis.tokens, *analysis.fresh, *analysis.changed}}
      analysis.done = True
      self.scope, self.statement, self.before, self.nested = saved[:4]
      self.half_kept = saved[5]
      self.frames.pop()

  # ---- what it returns

  def _returned(self, scope: Scope, node: ast.AST) -> Value:
    values = [v for _, v in scope.returned]
    held = [v for v in values if special(v)]
    if not held:
      return values[0] if values else PLAIN
    shapes = {str(sign(v, [])) for v in values}
    if len(shapes) > 1:
      raise self.left(node, "returns part of a model on one way, and something else on another", "return the same on every way")  # fmt: skip
    return values[0]


def _runs(value: Value) -> bool:
  """Whether an argument holds a model with its variables."""
  return not (isinstance(value, (Recipe, Apply)) and not value.token.initialised)


def _inner(given: dict[str, Value]) -> tuple[bool, ...]:
  """Which arguments a function is differentiated by."""
  return tuple(getattr(v, "inner", False) for _, g in sorted(given.items()) for v in leaves(g) if isinstance(v, Held))


def positional(function: Function) -> list[str]:
  """Names of the arguments that a call gives by position: neither `self`, nor what a partial gave already."""
  names = [a.arg for a in (*function.node.args.posonlyargs, *function.node.args.args)]
  return names[(function.bound is not None) + sum(w.first for w in function.wraps) :]


def _name(function: Function) -> str:
  return getattr(function.node, "name", "a lambda")
