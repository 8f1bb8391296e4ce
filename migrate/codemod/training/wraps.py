"""Transforms around functions of a training program: `jax.jit`, `jax.grad`, `functools.partial`."""

from __future__ import annotations

import ast
from typing import Any

from migrate.codemod.training.analysis import Analysis
from migrate.codemod.training.base import Base
from migrate.codemod.training.program import File
from migrate.codemod.training.values import (
  PLAIN,
  PLAINLY,
  Apply,
  Function,
  Grads,
  Recipe,
  Token,
  Tup,
  Value,
  Wrap,
  lower,
  special,
)


class Wraps(Base):
  """What stands around a function, written for what the function is given now."""

  def given_first(self, file: File, method: ast.FunctionDef, first: Value | None) -> Function:
    """A method as a function whose first argument is given already, as by a partial."""
    function = self.decorated(Function(method, file, file.scope))
    names = [*method.args.posonlyargs, *method.args.args]
    if first is None or not names:
      return function
    wrap = Wrap("partial", ast.Name(method.name, ast.Load()), None, file, {names[0].arg: first}, 1)
    return Function(method, file, file.scope, (wrap, *function.wraps))

  def rewrap(self, wrap: Wrap, analysis: Analysis, value: Value) -> None:
    """Writes a transform anew, for a function that is given a model now."""
    file = wrap.owner
    if wrap.kind == "partial":
      self._bound_models(wrap, analysis)
      return
    if wrap.kind == "jit":
      self._check_jit(wrap, analysis)
      file.replace(wrap.node, "nnx.jit")
    elif wrap.kind in ("grad", "value_and_grad", "pmap", "remat"):
      file.replace(wrap.node, f"nnx.{wrap.kind}")
    else:
      return
    file.imports.setdefault(file.owner(wrap.node), set()).add("from flax import nnx")
    self.link(self.here(), file.owner(wrap.node))
    if wrap.call is None:
      return
    if wrap.kind in ("grad", "value_and_grad") and len(wrap.call.args) > 1:  # NNX takes them by name
      first, *more = wrap.call.args
      if [ast.unparse(m) for m in more] != ["0"] or wrap.node is not wrap.call.func:
        raise self.left(wrap.call, f"options of jax.{wrap.kind} by position", "give them by name")
      file.replace_span(wrap.call, file.source.span(first)[1], file.source.span(more[0])[1], "")
    for keyword in wrap.call.keywords:
      if keyword.arg in ("static_argnums", "donate_argnums", "argnums", "static_broadcasted_argnums"):
        self._positions(file, wrap.call, keyword, analysis)
    aux = keyword_value(wrap.call, "has_aux")
    if aux is not None and not (isinstance(value, Tup) and len(lower(value, set())[:1]) and _tuple_form(value)):
      self._without(file, wrap.call, "has_aux")

  def _bound_models(self, wrap: Wrap, analysis: Analysis) -> None:
    """A module that a partial gives goes, where the function is given the model with its training state."""
    call = wrap.call
    for name in [n for n, v in wrap.bound.items() if special(v)] if call is not None else []:
      assert call is not None
      if analysis.emits.get(name) != []:
        raise self.left(call, f"a partial that gives the model as `{name}`", "give the model where the function is called")  # fmt: skip
      node = next((k for k in call.keywords if k.arg == name), None) or call.args[list(wrap.bound).index(name) + 1]
      wrap.owner.replace_span(call, *self._with_comma(wrap.owner, call, node), "")
      self.link(self.here(), wrap.owner.owner(call))
    if any(map(special, wrap.bound.values())) and all(map(special, wrap.bound.values())) and call is not None:
      wrap.owner.replace(call, wrap.owner.text(call.args[0]))

  def _with_comma(self, file: Any, call: ast.Call, node: ast.AST) -> tuple[int, int]:
    """The span of an argument, from the end of the one before it."""
    arguments = [*call.args, *call.keywords]
    before = arguments[[a is node for a in arguments].index(True) - 1]
    return file.source.span(before)[1], file.source.span(node)[1]

  def _check_jit(self, wrap: Wrap, analysis: Analysis) -> None:
    for keyword in wrap.call.keywords if wrap.call is not None else ():
      if keyword.arg in ("in_shardings", "out_shardings", "device", "backend", "donate_argnames"):
        raise self.left(wrap.call or wrap.node, f"`{keyword.arg}` of a jitted training function", "rewrite it by hand")
      if keyword.arg == "static_argnames":
        names = constant(keyword.value, None)
        if names is None:
          raise self.left(wrap.node, "static_argnames that are computed", "write them out")
        names = (names,) if isinstance(names, str) else tuple(names)
        if any(analysis.emits.get(n) == [PLAINLY] for n in names):
          continue  # what makes a model stays static
        if any(not isinstance(analysis.given[n], (Apply, Recipe)) for n in names if n in analysis.emits):
          raise self.left(wrap.node, "static_argnames that name a model", "take it out: arrays are not static")
        kept = [n for n in names if n not in analysis.emits]  # a Linen module is static, an NNX module is not
        if not kept and wrap.call is not None:
          self._without(wrap.owner, wrap.call, "static_argnames")
        elif len(kept) < len(names):
          quote = '"' if '"' in wrap.owner.source.code(keyword.value) else "'"
          texts = [f"{quote}{n}{quote}" for n in kept]
          wrap.owner.replace(keyword.value, texts[0] if len(kept) == 1 else f"({', '.join(texts)})")

  def _positions(self, file: Any, call: ast.Call, keyword: ast.keyword, analysis: Analysis) -> None:
    """Arguments by number, where more or fewer stand before them now."""
    value = constant(keyword.value, None)
    numbers = [value] if isinstance(value, int) else list(value) if isinstance(value, (tuple, list)) else None
    if numbers is None or any(not isinstance(n, int) or n < 0 for n in numbers):
      raise self.left(call, f"`{keyword.arg}` that is computed", "write the numbers out")
    names = list(analysis.places)
    found: list[int] = []
    for number in numbers:
      name = names[number] if number < len(names) else None
      if name is None:
        raise self.left(call, f"`{keyword.arg}` beyond the arguments", "write the numbers out")
      if (
        keyword.arg in ("static_argnums", "static_broadcasted_argnums")
        and name in analysis.emits
        and analysis.emits[name] != [PLAINLY]
      ):
        continue  # a Linen module is static, an NNX module is not; what makes one is
      found += analysis.places[name]
    found = list(dict.fromkeys(found))
    if found == numbers:
      return
    if not found:
      self._without(file, call, str(keyword.arg))
      return
    file.replace(keyword.value, str(found[0]) if isinstance(value, int) and len(found) == 1 else str(tuple(found)))

  def _without(self, file: Any, call: ast.Call, name: str) -> None:
    """Takes a keyword out of a call."""
    arguments: list[Any] = [*call.args, *call.keywords]
    kept = [a for a in arguments if getattr(a, "arg", None) != name]
    if isinstance(file.source.parents.get(call), ast.FunctionDef):
      if not kept or (len(kept) == 1 and kept[0] in call.args and ast.unparse(call.func).endswith("partial")):
        file.replace(call, file.text(kept[0] if kept else call.func))
        return
    index = next(i for i, a in enumerate(arguments) if getattr(a, "arg", None) == name)
    if index:
      start, end = file.source.span(arguments[index - 1])[1], file.source.span(arguments[index])[1]
    else:
      start, end = file.source.span(arguments[0])[0], file.source.span(arguments[1])[0]
    file.replace_span(call, start, end, "")

  def graded(self, grad: Wrap | None, value: Value, held: list[Token]) -> Value:
    """What the transformed function returns."""
    if grad is None or not held:
      return value
    every = tuple(Grads(t, self.epoch(t)) for t in held)
    several = isinstance(constant(keyword_value(grad.call, "argnums"), 0), tuple)
    grads = Tup(every) if several else every[0]
    aux = constant(keyword_value(grad.call, "has_aux"), False)
    if not aux:
      return Tup((PLAIN, grads)) if grad.kind == "value_and_grad" else grads
    if not isinstance(value, Tup) or len(value.items) != 2:
      raise self.left(grad.node, "has_aux of a function that does not return a pair", "return (loss, aux)")
    return Tup((value, grads)) if grad.kind == "value_and_grad" else Tup((grads, value.items[1]))


def _tuple_form(value: Tup) -> bool:
  forms = lower(value, set())
  return bool(forms) and (forms[0] == PLAINLY or forms[0][0] == "tuple") and len(lower(value.items[1], set())) > 0


def keyword_value(call: ast.Call | None, name: str) -> ast.expr | None:
  """An argument of a call by its name."""
  return next((k.value for k in call.keywords if k.arg == name), None) if call is not None else None


def constant(node: ast.expr | None, default: Any) -> Any:
  """The value of a literal; None where it is none, `default` where there is nothing."""
  if node is None:
    return default
  try:
    return ast.literal_eval(node)
  except (ValueError, TypeError, SyntaxError):
    return None
