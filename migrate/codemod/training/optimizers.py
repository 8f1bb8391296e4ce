"""Optimizers of training programs: Optax by hand, masks and labels over parameters."""

from __future__ import annotations

import ast
import dataclasses

from migrate.codemod.training.analysis import Result
from migrate.codemod.training.masks import Masks
from migrate.codemod.training.values import (
  EFFECT,
  PLAIN,
  PLAINLY,
  Function,
  Grads,
  OptState,
  OptUpdates,
  Part,
  Plain,
  Tup,
  Value,
  special,
)

# function -> (argument, its position) that is a tree like the parameters, or makes one of them
TREES = {
  "optax.masked": ("mask", 1),
  "optax.multi_transform": ("param_labels", 1),
  "optax.partition": ("param_labels", 1),
  "optax.transforms.partition": ("param_labels", 1),
  "optax.transforms.masked": ("mask", 1),
}
ABSENT = 99


class Optimizers(Masks):
  """`tx.init`, `tx.update`, `optax.apply_updates`, `optax.masked` and the like."""

  def optax_method(self, node: ast.Call, func: ast.Attribute) -> Result | None:
    """`tx.init(params)` and `tx.update(grads, opt_state, params)`."""
    named = {str(k.arg): k.value for k in node.keywords}
    order = ("updates", "state", "params")[len(node.args) :] if func.attr == "update" else ()
    if func.attr not in ("init", "update") or not node.args or set(named) - set(order):
      return None
    given = [*node.args, *(named[n] for n in order if n in named)]
    values = [self.eval(a)[0] for a in given]
    first = values[0]
    if func.attr == "init" and len(values) == 1 and self.group_later(first):
      raise self.left(node, "an optimizer of a tuple of parameters that is not written out", "write the tuple out")
    if func.attr == "init" and isinstance(first, Part) and len(values) == 1 and first.collection == "params":
      model = self.model(first.token, node)
      self.file.replace(node, f"{self.nnx()}.Optimizer({model}, {self.file.text(func.value)}, wrt=nnx.Param)")
      first.token.optimized = True
      self.optimized_in.setdefault(self.scope, set()).add(first.token)
      return OptState(first.token, self.epoch(first.token)), ("optimizer", first.token)
    if func.attr == "update" and isinstance(first, Grads) and len(values) > 1 and isinstance(values[1], OptState):
      token = first.token
      if values[1].token is not token or first.epoch != self.epoch(token):
        raise self.left(node, "an update from gradients of another model", "update each model with its own gradients")
      if len(values) > 2 and not (isinstance(values[2], Part) and values[2].token is token):
        raise self.left(node, "an update with other parameters", "give the model's parameters")
      updates = OptUpdates(token, self.epoch(token), self.file.text(node.args[0]))
      return Tup((updates, OptState(token, self.epoch(token) + 1))), None
    return None

  def apply_updates(self, node: ast.Call) -> Result:
    """`optax.apply_updates(params, updates)`."""
    values = [self.eval(a)[0] for a in node.args]
    if len(values) == 2 and isinstance(values[0], Part) and isinstance(values[1], OptUpdates):
      token = values[0].token
      if values[1].token is token and values[1].epoch == self.epoch(token):
        self.not_spread(token, node)
        text = f"{self.optimizer(token, node)}.update({self.model(token, node)}, {values[1].grads})"
        self.file.replace(node, text)
        old = {t: self.epoch(t) for t in (token, *token.inside())}
        new = self.advance(token)
        for scope in self.scope.chain():  # statistics are what they were
          for name, value in scope.values.items():
            if isinstance(value, Part) and value.collection != "params" and old.get(value.token) == value.epoch:
              scope.values[name] = dataclasses.replace(value, epoch=self.epoch(value.token))
        return dataclasses.replace(values[0], epoch=new), EFFECT
    if any(special(v) for v in values):
      raise self.left(node, "updates that did not come from tx.update here", "apply what tx.update returned")
    return PLAIN, PLAINLY

  def optax_function(self, node: ast.Call, full: str) -> Result | None:
    """A function of Optax that is given a mask or labels: NNX gives those a State, not a dict."""
    name, place = TREES.get(full, ("mask", ABSENT))
    keyword = next((k for k in node.keywords if k.arg == name or (k.arg or "").endswith("_mask")), None)
    tree = keyword.value if keyword is not None else node.args[place] if len(node.args) > place else None
    if tree is None or (isinstance(tree, ast.Constant) and tree.value is None):
      return None
    for argument in [*node.args, *(k.value for k in node.keywords)]:
      if argument is not tree:
        self.plain(argument)
    value, _ = self.eval(tree)
    text = self.mask_text(tree, value)
    if text is not None:
      self.file.replace(tree, text)
      self.masks.add(self.here())
      self.touched.add(self.here())
      return Plain(full), PLAINLY
    if not self._makes_trees(tree, value):
      raise self.left(tree, f"a {name} that is a tree like Linen's parameters", "make it a function of the parameters", "L2N407")  # fmt: skip
    nnx = self.nnx()
    if isinstance(value, Function):
      self.read_plainly(value, tree)
    if isinstance(tree, ast.Lambda):
      argument = tree.args.args[0].arg if tree.args.args else "params"
      self.plain(tree)
      inside = self.file.text(tree)
      text = f"lambda {argument}: {nnx}.State(({inside})({nnx}.to_pure_dict({argument})))"
    else:
      text = f"lambda params: {nnx}.State({self.file.text(tree)}({nnx}.to_pure_dict(params)))"
    self.file.replace(tree, text)
    self.masks.add(self.here())
    self.touched.add(self.here())
    self.wrapped_masks.append((self.scope, self.statement, tree, value if isinstance(value, Function) else None))
    return Plain(full), PLAINLY

  def _makes_trees(self, node: ast.expr, value: Value) -> bool:
    """Whether a mask is certainly a function, and no tree."""
    if isinstance(value, Function):
      return True
    if isinstance(node, ast.Call):
      return isinstance(value, Plain) and value.full == "functools.partial"
    full = self.program.full(self.scope, node)
    return full is not None and full.rpartition(".")[0] not in self.program.files
