"""Modules that are bound to their variables: `model.bind(variables)` and `functools.partial(model.apply, variables)`.

In NNX that is the model. Where the parameters change later it is not: Linen's keeps the old ones, so such a use is left.
"""

from __future__ import annotations

import ast

from migrate.codemod.training.analysis import Result
from migrate.codemod.training.models import Models
from migrate.codemod.training.values import Apply, Bound, Part, Recipe, Value, Variables

OF_APPLY = ("rngs", "mutable", "method", "capture_intermediates")


class Bounds(Models):
  """Makes and calls of bound modules."""

  def bind(self, node: ast.Call, recipe: Recipe) -> Result:
    """`model.bind(variables)`."""
    if len(node.args) != 1 or node.keywords:
      raise self.left(node, "bind with rngs or mutable collections", "call the model")
    return self._with_variables(node, recipe, self._variables_of(node.args[0])), None

  def bind_partly(self, node: ast.Call, function: Apply) -> Result | None:
    """`functools.partial(model.apply, variables)`; None for what is none."""
    if function.method != "apply" or len(node.args) != 2 or any(k.arg in (None, *OF_APPLY) for k in node.keywords):
      return None
    for keyword in node.keywords:
      self.plain(keyword.value)
    texts = tuple(f"{k.arg}={self.file.text(k.value)}" for k in node.keywords)
    return self._with_variables(node, function, self._variables_of(node.args[1]), texts, True), None

  def bound_call(self, node: ast.Call, bound: Bound, func: ast.Attribute | None = None) -> Result:
    """A call of a module that has its variables, or of one of its methods or modules."""
    method = func.attr if func is not None else ""
    modules = bound.token.cls.modules or {}
    other = bound.called if func is not None else False
    if other or method in ("unbind", "bind", "apply", "init", "variables", "clone", "copy") or modules.get(method, method) != method:  # fmt: skip
      raise self.left(node, f"`.{method}` of a bound module", "call the model")
    if not bound.called and any(k.arg in OF_APPLY for k in node.keywords):
      raise self.left(node, "an argument of apply for a bound module", "call the model")
    assert isinstance(bound.variables, (Variables, Part))
    given = {t.partition("=")[0] for t in bound.texts} & {k.arg for k in node.keywords}
    texts = [t for t in bound.texts if t.partition("=")[0] not in given]
    value, form = self.called(node, bound.token, bound.variables, node.args, node.keywords, method=method)
    if texts:
      text = self.file.text(node)
      self.file.replace(node, f"{text.removesuffix(')')}{'' if text.endswith('()') else ', '}{', '.join(texts)})")
    return value, form

  def _variables_of(self, node: ast.expr) -> Value:
    value, form = self.eval(node)
    if not isinstance(value, (Variables, Part)) or form is not None or (isinstance(value, Part) and not value.whole):
      raise self.left(node, f"`{ast.unparse(node)[:50]}`: variables that are not a model's own", "call the model that holds them", "L2N402")  # fmt: skip
    return value

  def _with_variables(self, node: ast.Call, module: Recipe | Apply, variables: Value, texts: tuple[str, ...] = (), called: bool = False) -> Bound:  # fmt: skip
    assert isinstance(variables, (Variables, Part))
    self._same_module(node, module.token, variables.token)
    return Bound(variables.token, variables.epoch, variables, texts, called)
