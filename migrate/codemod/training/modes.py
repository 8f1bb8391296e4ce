"""Calls of which an argument says whether they train: `mutable=["batch_stats"] if train else False`.

An NNX model changes its statistics by itself where its own argument says so, so what the call returns is the same on
both ways; what it changed goes back into the state where the argument is True, and is nothing where it is False.
"""

from __future__ import annotations

import ast
import dataclasses

from migrate.codemod.source import Source, defaults_of
from migrate.codemod.training.analysis import Result
from migrate.codemod.training.base import Base
from migrate.codemod.training.functions import positional
from migrate.codemod.training.values import (
  NOTHING,
  PLAINLY,
  Changed,
  Function,
  Token,
  Tup,
  Unchanged,
  Value,
  leaves,
)


class Modes(Base):
  """One analysis of a function holds for both of its modes."""

  def only_when(self, mutable: ast.expr | None) -> str:
    """The argument that decides whether a call changes anything; empty where none does."""
    if not isinstance(mutable, ast.IfExp) or not isinstance(mutable.test, ast.Name):
      return ""
    off = isinstance(mutable.orelse, ast.Constant) and mutable.orelse.value in (False, None)
    off = off or (isinstance(mutable.orelse, (ast.List, ast.Tuple)) and not mutable.orelse.elts)
    return mutable.test.id if off and self._is_argument(mutable.test.id) else ""

  def _is_argument(self, name: str) -> bool:
    """Whether a name is an argument of the function that is being read, and always means the same."""
    node = self.scope.node
    if not isinstance(node, (ast.FunctionDef, ast.Lambda)) or name not in {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}:  # fmt: skip
      return False
    return not any(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store) for n in ast.walk(node))

  def changed_or_not(self, node: ast.IfExp) -> Result | None:
    """`outs if train else (outs, None)`."""
    if not isinstance(node.test, ast.Name) or not isinstance(node.body, ast.Name) or not isinstance(node.orelse, ast.Tuple):  # fmt: skip
      return None
    value = self.scope.find(node.body.id)
    if not isinstance(value, Tup) or len(node.orelse.elts) != len(value.items) or len(value.items) != 2:
      return None
    changed = [v for v in leaves(value) if isinstance(v, Changed)]
    first, second = node.orelse.elts
    if [v.when for v in changed] != [node.test.id] or not isinstance(value.items[1], Changed):
      return None
    if ast.unparse(first) != node.body.id or not isinstance(second, (ast.Constant, ast.Dict)):
      return None
    self.file.replace(node, self.file.text(node.body))
    return value, PLAINLY

  def in_training(self, node: ast.If, first: dict[str, Value], second: dict[str, Value]) -> None:
    """`if train: y, new = ...` and `else: y, new = ..., None`: what was changed, where the argument says so."""
    if not isinstance(node.test, ast.Name) or not self._is_argument(node.test.id):
      return
    for name, value in first.items():
      if isinstance(value, Changed) and second.get(name) == NOTHING and name in self.scope.values:
        epoch = self.epoch(value.token)
        self.scope.values[name] = dataclasses.replace(value, epoch=epoch, when=node.test.id)

  def settled(self, function: Function, node: ast.Call, value: Value, pending: set[Token]) -> Value:
    """What a function returns, once it is known from a call whether its calls changed anything."""
    if isinstance(value, Tup):
      return Tup(tuple(self.settled(function, node, v, pending) for v in value.items))
    if not isinstance(value, Changed) or not value.when:
      return value
    given = self._given(function, node, value.when)
    if isinstance(given, ast.Constant) and given.value is True:
      return dataclasses.replace(value, when="")
    if isinstance(given, ast.Constant) and not given.value:
      self.pending -= {value.token} - pending
      return Unchanged(value.token, value.epoch)
    if isinstance(given, ast.Name) and self._is_argument(given.id):
      return dataclasses.replace(value, when=given.id)
    raise self.left(node, f"statistics that change where `{value.when}` says so, which is not known here", "give True or False", "L2N404")  # fmt: skip

  def _given(self, function: Function, node: ast.Call, name: str) -> ast.expr | None:
    """What a call gives for an argument."""
    found = defaults_of(function.node.args) | dict(zip(positional(function), node.args, strict=False))
    for call in [*(w.call for w in function.wraps if w.kind == "partial" and w.call is not None), node]:
      found |= {k.arg: k.value for k in call.keywords if k.arg}
    return found.get(name)


def thrown_away(source: Source, node: ast.Call) -> bool:
  """Whether nothing reads what a call changes: `logits, _ = discriminator.apply_fn(..., mutable=["batch_stats"])`."""
  assign = source.parents.get(node)
  target = assign.targets[0] if isinstance(assign, ast.Assign) and len(assign.targets) == 1 else None
  if not isinstance(target, ast.Tuple) or len(target.elts) != 2 or not isinstance(target.elts[1], ast.Name):
    return False
  name = target.elts[1].id
  function = next((n for n in source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
  names = [n for n in ast.walk(function) if isinstance(n, ast.Name)] if function is not None else []
  return bool(names) and not any(n.id == name and isinstance(n.ctx, ast.Load) for n in names)
