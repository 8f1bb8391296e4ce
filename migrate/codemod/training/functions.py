"""Functions of a training program: read where they are called, with what they are given."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any

from migrate.codemod.imports_uses import bound_names
from migrate.codemod.training.base import Analysis, Result
from migrate.codemod.training.program import Scope
from migrate.codemod.training.values import (
  EFFECT,
  PLAIN,
  PLAINLY,
  Apply,
  Form,
  Function,
  Grads,
  Held,
  Left,
  OptState,
  Part,
  Recipe,
  Token,
  Train,
  Tup,
  Value,
  Variables,
  Wrap,
  leaves,
  lower,
  special,
  tokens,
  with_token,
)
from migrate.codemod.training.wraps import Wraps, constant, keyword_value

GRADS = {"jax.grad": "grad", "jax.value_and_grad": "value_and_grad"}
PARTIAL = "functools.partial"


class Functions(Wraps):
  """Calls of the program's functions, and what becomes of their arguments and of what they return."""

  def decorated(self, function: Function) -> Function:
    """A function with what its decorators make of it."""
    wraps: list[Wrap] = []
    for node in reversed(getattr(function.node, "decorator_list", [])):
      call = node if isinstance(node, ast.Call) else None
      name: ast.expr = node.func if call is not None else node
      if call is not None and self.program.full(function.outer, name) == PARTIAL and call.args:
        name = call.args[0]
      full = self.program.full(function.outer, name)
      kind = GRADS.get(full or "", "jit" if full == "jax.jit" else "other")
      wraps.append(Wrap(kind, name, call, function.unit))
    return dataclasses.replace(function, wraps=tuple(wraps)) if wraps else function

  def call_function(self, function: Function, node: ast.Call) -> Result:
    """The call of a function of the program."""
    values: list[Value] = []
    forms: list[Form] = []
    for argument in [*node.args, *(k.value for k in node.keywords)]:
      value, form = self.eval(argument.value if isinstance(argument, ast.Starred) else argument)
      values.append(value)
      forms.append(form)
    bound = [k for w in function.wraps if w.kind == "partial" and w.call is not None for k in w.call.keywords]
    given = self._bound(function, node, values, bound)
    if given is None:
      if any(map(special, values)):
        raise self.left(node, f"arguments of {_name(function)} that can't be told apart", "give them one by one")
      given = {}
    held = any(map(special, given.values()))
    if held and any(w.kind == "other" for w in function.wraps):
      raise self.left(node, f"{_name(function)} is wrapped in something that has no rule", "unwrap it, or rewrite it by hand")  # fmt: skip
    grad = next((w for w in function.wraps if w.kind in ("grad", "value_and_grad")), None)
    inner = self._differentiated(function, grad, given, node) if grad is not None and held else None
    analysis, table = self._analyse(function, given, inner, node)
    owner = function.unit.owner(function.node)
    if owner in self.masks:
      self.masks.add(self.here())
      self.link(self.here(), owner)
    value = with_token(analysis.value, table, self.epochs)
    fresh = {table.get(t, t) for t in analysis.fresh}
    self.created.setdefault(self.scope, set()).update(fresh)
    if not held and not special(analysis.value):
      return value, PLAINLY
    for owner in (function.unit.owner(function.node), *(t.owner for t in table)):
      self.link(self.here(), owner)
    for wrap in function.wraps:
      self.rewrap(wrap, analysis, value)
    if held:
      order = [a.arg for a in (*function.node.args.posonlyargs, *function.node.args.args)]
      self._arguments(node, analysis, order, forms, table)
    value = self.graded(grad, analysis, value, inner)
    low = lower(value, fresh)
    return value, EFFECT if not low else low[0] if len(low) == 1 else ("tuple", low)

  # ---- arguments

  def _bound(
    self, function: Function, node: ast.Call, values: list[Value], bound: list[ast.keyword]
  ) -> dict[str, Value] | None:
    arguments = function.node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    given: dict[str, Value] = {k.arg: PLAIN for k in bound if k.arg}
    if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
      return None
    for i, value in enumerate(values[: len(node.args)]):
      if i < len(names):
        given[names[i]] = value
      elif special(value):
        return None
    known = {*names, *(a.arg for a in arguments.kwonlyargs)}
    for keyword, value in zip(node.keywords, values[len(node.args) :], strict=True):
      if keyword.arg in known:
        given[str(keyword.arg)] = value
      elif special(value):
        return None
    return given

  def _differentiated(self, function: Function, grad: Wrap, given: dict[str, Value], node: ast.Call) -> Token:
    """Marks the argument that a function is differentiated by. Returns its model."""
    index = constant(keyword_value(grad.call, "argnums"), 0)
    names = [a.arg for a in (*function.node.args.posonlyargs, *function.node.args.args)]
    value = given.get(names[index]) if isinstance(index, int) and index < len(names) else None
    if not isinstance(value, Part) or value.collection != "params":
      raise self.left(node, "a gradient by something else than a model's parameters", "differentiate by state.params")
    given[names[index]] = dataclasses.replace(value, inner=True)
    return value.token

  def _arguments(
    self,
    node: ast.Call,
    analysis: Analysis,
    order: list[str],
    forms: list[Form],
    table: dict[Token, Token],
  ) -> None:
    """Rewrites the arguments of a call."""
    texts: list[str] = []
    for i, argument in enumerate([*node.args, *(k.value for k in node.keywords)]):
      keyword = node.keywords[i - len(node.args)].arg if i >= len(node.args) else None
      name = keyword or (order[i] if i < len(order) else None)
      emits = analysis.emits.get(name or "")
      if emits is None:
        text = self.file.text(argument)
        texts.append(f"{keyword}={text}" if keyword else text)
        continue
      for form, inside in zip(emits, analysis.names[name or ""], strict=True):
        token = table.get(form[1], form[1]) if len(form) > 1 else None
        if form == PLAINLY:
          text = self.file.text(argument)
        elif forms[i] is not None and forms[i] != PLAINLY and len(emits) == 1:
          text = self.file.text(argument)  # the expression makes it
        elif forms[i] is not None and forms[i] != PLAINLY:
          raise self.left(argument, "a training state made inside a call", "give it a name first")
        else:
          assert token is not None
          text = self.model(token, argument) if form[0] == "model" else self.optimizer(token, argument)
        texts.append(f"{inside}={text}" if keyword else text)
    self.file.replace(node, self.call_text(node, self.file.text(node.func), texts))

  # ---- reading a function

  def _analyse(
    self, function: Function, given: dict[str, Value], inner: Token | None, node: ast.AST
  ) -> tuple[Analysis, dict[Token, Token]]:
    """What is known of a function, read now if it was not; and which model here is which one there."""
    order: list[Token] = []
    signature = tuple((n, _sign(v, order)) for n, v in sorted(given.items()) if special(v) or isinstance(v, Grads))
    known = self.analysed.get(function.node)
    if known is not None and (known.done or known.signature == signature):
      if not known.done:
        if signature:
          raise self.left(node, f"{_name(function)} calls itself", "rewrite it by hand")
        return known, {}
      if known.signature != signature:
        raise self.left(node, f"{_name(function)} is called with other kinds of arguments elsewhere",
                        "call it in one way, or write two functions")  # fmt: skip
      top = function.unit.owner(function.node) is function.node
      if top:
        table = dict(zip(known.tokens, order, strict=True))
        for token in known.fresh:
          table[token] = dataclasses.replace(token, names=[])
        for old, new in table.items():
          new.initialised, new.optimized = old.initialised, old.optimized
          new.streams |= old.streams
        self.pending |= {table.get(t, t) for t in known.pending}
        for token in known.changed:
          self.advance(table.get(token, token))
        return known, table
    analysis = Analysis(signature, order, given)
    self.analysed[function.node] = analysis
    self._read(function, analysis, inner)
    return analysis, {}

  def _read(self, function: Function, analysis: Analysis, inner: Token | None) -> None:
    node = function.node
    scope = Scope(function.unit, function.outer, node)
    every = [a for a in ast.walk(node.args) if isinstance(a, ast.arg)]
    body: list[Any] = node.body if isinstance(node.body, list) else [node.body]
    scope.locals = bound_names(body) | {a.arg for a in every}
    scope.values = {**dict.fromkeys((a.arg for a in every), PLAIN), **analysis.given}
    scope.given = {t for v in analysis.given.values() if special(v) for t in tokens(v) if _runs(v)}
    if inner is not None:
      scope.inner = {inner}
    before = dict(self.epochs)
    saved = (self.scope, self.statement, self.before, self.nested, set(self.pending))
    self.scope = scope
    if not isinstance(node, ast.Lambda):
      self.statement, self.before, self.nested = node, [], 0
    else:
      self.nested += 1
    try:
      self._parameters(function, analysis, scope)
      if isinstance(node, ast.Lambda):
        value, _ = self.eval(node.body)
        scope.returned.append((None, value))
      else:
        self.block(node.body)
      analysis.value = self._returned(scope, node)
      if isinstance(node, ast.FunctionDef):
        self._annotation(node, analysis, scope)
      kept = {v.token for v in leaves(analysis.value) if type(v).__name__ == "Changed"}  # pyright: ignore
      lost = (self.pending - saved[4]) - kept
      if lost:
        raise self.left(node, "statistics that a call changes are thrown away", "call with train=False, or keep them", "L2N404")  # fmt: skip
    except Left as error:
      self.findings.append((function.unit.owner(node), error.finding))
      analysis.value = PLAIN
    finally:
      analysis.fresh = {t for t in tokens(analysis.value) if t in self.created.get(scope, ())}
      analysis.changed = {t for t in self.epochs if self.epochs[t] != before.get(t, 0)}
      analysis.pending = self.pending - saved[4]
      analysis.done = True
      self.scope, self.statement, self.before, self.nested = saved[:4]

  def _parameters(self, function: Function, analysis: Analysis, scope: Scope) -> None:
    """Writes the parameters of a function anew."""
    arguments = function.node.args
    groups = [*arguments.posonlyargs, *arguments.args], arguments.kwonlyargs
    seen: list[Form] = []
    place = 0
    defaults = {a.arg for a, _ in zip(reversed(groups[0]), reversed(arguments.defaults), strict=False)}
    for argument in [*groups[0], *groups[1]]:
      value = analysis.given.get(argument.arg, PLAIN)
      if not special(value):
        analysis.places[argument.arg] = [place]
        place += 1
        continue
      if argument.arg in defaults:
        raise self.left(argument, f"argument `{argument.arg}` with a default holds part of a model", "take the default away")  # fmt: skip
      forms = [f for f in _carried(value) if f not in seen]
      if (
        self.known.optimizing is not None
        and not isinstance(value, OptState)
        and not isinstance(function.node, ast.Lambda)
      ):
        if self.place(function.unit, function.node) not in self.known.optimizing:
          forms = [f for f in forms if f[0] != "optimizer"]
      seen += forms
      analysis.emits[argument.arg] = forms
      names = []
      for form in forms:
        if form == PLAINLY:
          names.append(argument.arg)
          if argument.annotation is not None:
            self._recipe(argument, argument.annotation)
        elif form[0] == "model":
          names.append(self.model(form[1], argument))
        else:
          asked = set(self.optimizing)
          names.append(self.optimizer(form[1], argument))
          self.optimizing = asked  # having it is not using it
      analysis.names[argument.arg] = names
      analysis.places[argument.arg] = list(range(place, place + len(names)))
      place += len(names)
    for argument in [*groups[0], *groups[1]]:
      if argument.arg in analysis.emits and analysis.emits[argument.arg] != [PLAINLY]:
        texts = [self._annotated(argument, n, f) for n, f in
                 zip(analysis.names[argument.arg], analysis.emits[argument.arg], strict=True)]  # fmt: skip
        self._write_parameter(function, argument, texts)

  def _annotated(self, argument: ast.arg, name: str, form: Form) -> str:
    if argument.annotation is None:
      return name
    self.nnx()
    return f"{name}: nnx.{'Module' if form[0] == 'model' else 'Optimizer'}"

  def _recipe(self, argument: ast.arg, annotation: ast.expr) -> None:
    """An argument that is a partial of its class now says so."""
    text = self.file.source.code(annotation)
    if not text.endswith("]"):
      self.file.replace(annotation, f"functools.partial[{text}]")
      self.file.need(argument, "import functools")

  def _write_parameter(self, function: Function, argument: ast.arg, texts: list[str]) -> None:
    if texts:
      self.file.replace(argument, ", ".join(texts))
      return
    source = self.file.source
    start, end = source.span(argument)
    rest = source.data[end:]
    skip = len(rest) - len(rest.lstrip())
    if rest.lstrip().startswith(b","):
      tail = rest[skip + 1 :]
      end += skip + 1 + (len(tail) - len(tail.lstrip(b" ")))
    else:
      back = source.data[:start].rstrip()
      start = len(back) - 1 if back.endswith(b",") else start
    self.file.replace_span(argument, start, end, "")

  # ---- what it returns

  def _returned(self, scope: Scope, node: ast.AST) -> Value:
    values = [v for _, v in scope.returned]
    held = [v for v in values if special(v)]
    if not held:
      return values[0] if values else PLAIN
    shapes = {str(_sign(v, [])) for v in values}
    if len(shapes) > 1:
      raise self.left(node, "returns part of a model on one way, and something else on another", "return the same on every way")  # fmt: skip
    return values[0]

  def _annotation(self, node: ast.FunctionDef, analysis: Analysis, scope: Scope) -> None:
    """Makes what the function says it returns true."""
    returns, value = node.returns, analysis.value
    if returns is None or not special(value):
      return
    fresh = {t for t in tokens(value) if t in self.created.get(scope, ())}
    elements = (
      returns.slice.elts if isinstance(returns, ast.Subscript) and isinstance(returns.slice, ast.Tuple) else None
    )
    if isinstance(value, Tup):
      if elements is None or len(elements) != len(value.items):
        start = self.file.source.span(returns)[0]
        arrow = self.file.source.data.rindex(b"->", 0, start)
        while self.file.source.data[arrow - 1 : arrow] == b" ":
          arrow -= 1
        self.file.replace_span(node, arrow, self.file.source.span(returns)[1], "")
        return
      texts = [t for e, v in zip(elements, value.items, strict=True) for t in self._types(lower(v, fresh), e)]
    else:
      texts = self._types(lower(value, fresh), returns)
    base = self.file.source.code(returns.value) if elements is not None and isinstance(returns, ast.Subscript) else "tuple"  # fmt: skip
    self.file.replace(returns, "None" if not texts else texts[0] if len(texts) == 1 else f"{base}[{', '.join(texts)}]")

  def _types(self, forms: list[Form], node: ast.expr) -> list[str]:
    found = []
    for form in forms:
      if form == PLAINLY or form[0] == "tuple":
        found.append(self.file.source.code(node))
      else:
        self.nnx()
        found.append("nnx.Module" if form[0] == "model" else "nnx.Optimizer")
    return found


def _carried(value: Value) -> list[Form]:
  """What takes the place of an argument."""
  if isinstance(value, Train):
    return [("model", value.token), ("optimizer", value.token)]
  if isinstance(value, OptState):
    return [("optimizer", value.token)]
  if isinstance(value, Recipe) and not value.token.initialised:
    return [PLAINLY]
  if isinstance(value, (Recipe, Variables, Part, Apply)):
    return [("model", value.token)]
  return []


def _runs(value: Value) -> bool:
  """Whether an argument holds a model with its variables."""
  return not (isinstance(value, (Recipe, Apply)) and not value.token.initialised)


def _sign(value: Value, order: list[Token]) -> Any:
  """The kind of a value, with models by number."""
  if isinstance(value, Tup):
    return tuple(_sign(v, order) for v in value.items)
  if isinstance(value, Held):
    if value.token not in order:
      order.append(value.token)
    known = value.token.initialised if isinstance(value, (Recipe, Apply)) else None
    more = (getattr(value, "collection", ""), getattr(value, "inner", False), getattr(value, "method", ""), known)
    return (type(value).__name__, order.index(value.token), *more)
  return "plain"


def _name(function: Function) -> str:
  return getattr(function.node, "name", "a lambda")
