"""Methods of the program's own TrainState classes: `state.update_ema()` becomes `optimizer.update_ema(model)`.

`self` is the optimizer; the model comes after it, where the method asks for more than the fields of the class.
"""

from __future__ import annotations

import ast

from migrate.codemod.training.analysis import Analysis, Result
from migrate.codemod.training.program import File, Scope
from migrate.codemod.training.states import States
from migrate.codemod.training.values import EFFECT, Function, Left, Token, Train

OWN = {"replace", "step", "tx", "opt_state"}


class StateMethods(States):
  """A method is a function whose first argument is given already."""

  def state_method(self, node: ast.Call, func: ast.Attribute, state: Train, form: object) -> Result | None:
    """`state.update_ema(0.9)`; None where the class has no such method."""
    file, method = self._method_in(state.token, func.attr)
    if file is None or method is None:
      return None
    if not self.current(state):
      raise self.left(node, f"`{ast.unparse(func.value)[:60]}` is used after it was updated", "use what the update returned", "L2N403")  # fmt: skip
    if form == EFFECT:  # `state.apply_gradients(grads=grads).update_ema()`
      self.put_before(node, self.file.text(func.value))
    elif form is not None:
      raise self.left(node, "a method of a training state that has no name", "give it a name first")
    self.file.replace(func.value, self.optimizer(state.token, node))
    return self.call_function(self.given_first(file, method, state), node)

  def read_state_methods(self) -> None:
    """Reads the methods that nothing calls."""
    for token, state in list(self.states_made.items()):
      for name in self._methods_of(token):
        file, method = self._method_in(token, name)
        if file is None or method is None or method in self.analysed:
          continue
        self.scope, self.statement = file.scope, method
        current = Train(token, self.epoch(token), state.whole)
        try:
          self.analyse(self.given_first(file, method, current), {method.args.args[0].arg: current}, method)
        except Left as error:
          self.findings.append((file.owner(method), error.finding))

  def own_state(self, function: Function, analysis: Analysis, scope: Scope) -> Token | None:
    """The state that a method is of: `self` is its optimizer, and what it has of the model comes after it."""
    wrap = next((w for w in function.wraps if w.kind == "partial" and w.call is None), None)
    name = next(iter(wrap.bound)) if wrap is not None else ""
    value = analysis.given.get(name)
    if not isinstance(value, Train):
      return None
    token, node = value.token, function.node
    scope.optimizers[token] = name
    analysis.emits[name], analysis.names[name] = [("optimizer", token)], [name]
    uses = [n for n in ast.walk(node) if isinstance(n, ast.Attribute) and ast.unparse(n.value) == name]
    puts = [k.arg for n in ast.walk(node) if isinstance(n, ast.Call) and n.func in uses for k in n.keywords]
    if any(u.attr not in {*OWN, *token.fields} for u in uses) or any(k not in token.fields for k in puts):
      analysis.leading[token] = self.model(token, node)
      first = [*node.args.posonlyargs, *node.args.args][0]
      self.file.replace(first, f"{self.file.text(first)}, {analysis.leading[token]}")
    return token

  def _methods_of(self, token: Token) -> list[str]:
    found = self.program.class_(self.state_classes.get(token.made))
    return [m.name for m in found[1].body if isinstance(m, ast.FunctionDef)] if found is not None else []

  def _method_in(self, token: Token, name: str) -> tuple[File | None, ast.FunctionDef | None]:
    found = self.program.class_(self.state_classes.get(token.made))
    if found is None:
      return None, None
    method = next((m for m in found[1].body if isinstance(m, ast.FunctionDef) and m.name == name), None)
    return found[0], method
