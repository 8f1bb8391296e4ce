"""Second names of parameters and of training states, which an update would change: they become copies where they are used
after one.

    best_state = state            # best_model = nnx.clone(model), and the optimizer where it is used
    best_params = state.params    # the same, or a tree where the variable holds None or other trees too:
                                  # jax.tree.map(jnp.copy, nnx.state(model, nnx.Param))
"""

from __future__ import annotations

import ast
import dataclasses

from migrate.codemod.training.analysis import Place
from migrate.codemod.training.base import Base
from migrate.codemod.training.program import Scope
from migrate.codemod.training.values import (
  NOTHING,
  Changed,
  Form,
  Live,
  Part,
  Self,
  Train,
  Tree,
  Tup,
  Value,
  special,
)


class Copies(Base):
  """What is copied is known from an earlier reading, which met the second name where it was old."""

  def second_name(self, node: ast.Assign | ast.AnnAssign, target: ast.expr, source: ast.expr, value: Value, form: Form) -> bool:  # fmt: skip
    """Remembers a second name; whether the statement makes a copy."""
    if isinstance(target, ast.Tuple) and isinstance(source, ast.Tuple) and isinstance(value, Tup):
      return self._several(node, target, source, value, form)
    copied = self._copy(target, source, value, form)
    if copied is None:
      return False
    text, kept = copied
    self.file.replace(node, f"{self._left_side(target, kept)} = {text}")
    return True

  def _several(self, node: ast.stmt, target: ast.Tuple, source: ast.Tuple, value: Tup, form: Form) -> bool:
    """`best, params = loss, state.params`."""
    if len({len(target.elts), len(source.elts), len(value.items)}) > 1 or (form is not None and form[0] == "elements"):
      return False
    found = [self._copy(t, s, v, None) for t, s, v in zip(target.elts, source.elts, value.items, strict=True)]
    if found == [None] * len(found):
      return False
    lefts, rights = [], []
    for one, inner, item, copied in zip(target.elts, source.elts, value.items, found, strict=True):
      if copied is not None:
        lefts.append(self._left_side(one, copied[1]))
        rights.append(copied[0])
        continue
      self._bind(one, item)
      if not special(item):
        lefts.append(self.file.text(one))
        rights.append(self.element_texts.get(inner) or self.file.text(inner))
    self.file.replace(node, f"{', '.join(lefts)} = {', '.join(rights)}")
    return True

  def _left_side(self, target: ast.expr, value: Value) -> str:
    """What is left of the equals sign, once the variable holds the copy."""
    if isinstance(value, Tree):
      self.bind_plain(target, value)
      return self.file.text(target)
    self._bind(target, value)
    assert isinstance(value, (Part, Train))
    model = self.model(value.token, target)
    if self.clones[value.token] & self.known.cloned:
      return f"{model}, {self.optimizer(value.token, target)}"
    return model

  def _copy(self, target: ast.expr, source: ast.expr, value: Value, form: Form) -> tuple[str, Value] | None:
    """The text of a copy, and what it is."""
    key = self._key(target)
    own = form is not None and isinstance(value, Part) and form == ("model", value.token) and value.token.first is not None  # fmt: skip
    if key is None or not isinstance(value, (Part, Train)) or getattr(value, "inner", False):
      return None
    if not own and (form is not None or not isinstance(source, (ast.Name, ast.Attribute))):
      return None
    place = self.place(self.file, target)
    if isinstance(value, Part) and value.collection == "params":
      self.second.setdefault(key, set()).add(place)
      if place not in self.known.copies:
        return None
      if own:
        first = value.token.first
        assert first is not None
        return f"{self.nnx()}.state({self.file.text(source)}, nnx.Param)", Tree(first, whole=value.whole)
      if isinstance(target, ast.Name) and key not in self.known.trees and value.token.cls.collections == {"params"}:
        return self._clone(key, place, target, value)
      return self.copied(value.token, target), Tree(value.token, whole=value.whole)
    if not isinstance(value, Train) or not isinstance(target, ast.Name) or not isinstance(source, ast.Name):
      return None
    self.second.setdefault(key, set()).add(place)
    self.second_of.setdefault(value.token, set()).add(place)
    return self._clone(key, place, target, value) if place in self.known.copies else None

  def _clone(self, key: Place, place: Place, node: ast.expr, value: Train | Part) -> tuple[str, Value]:
    """A model of its own, and an optimizer where that is used."""
    self.not_spread(value.token, node)
    known = next((t for k, t in self.cloned_as.items() if k == key and t.made is value.token.made), None)
    token = known or dataclasses.replace(value.token, names=[], fields=dict(value.token.fields), first=value.token)
    self.cloned_as[key] = token
    self.clones.setdefault(token, set()).add(place)
    epoch = self.advance(token)
    self.created.setdefault(self.scope, set()).add(token)
    nnx = self.nnx()
    text = f"{nnx}.clone({self.model(value.token, node)})"
    if isinstance(value, Part):
      return text, Part(token, epoch, whole=value.whole)
    if self.clones[token] & self.known.cloned:
      text += f", {nnx}.clone({self.optimizer(value.token, node)})"
    return text, Train(token, epoch, value.whole)

  def _key(self, target: ast.expr) -> Place | None:
    """A variable, or an attribute of `self`."""
    if isinstance(target, ast.Name):
      return self._in(self.scope, target.id)
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
      around = self.scope.find(target.value.id)
      return self._in(around.scope, f"self.{target.attr}") if isinstance(around, Self) else None
    return None

  def _in(self, scope: Scope, name: str) -> Place:
    """A variable of a scope, whatever the reading."""
    return f"{scope.file.module}.{name}", getattr(scope.node, "lineno", 0), getattr(scope.node, "col_offset", 0)

  def note_bound(self, target: ast.expr, value: Value) -> None:
    """A variable holds something that is no part of a model."""
    key = self._key(target)
    if key is not None and (value == NOTHING or isinstance(value, (Tree, Live))):
      self.else_bound.add(key)

  def old_name(self, text: str, value: Value | None) -> None:
    """A variable is used that is old, or not the same on every way: its second names become copies."""
    for scope in self.scope.chain():
      self.copies |= self.second.get(self._in(scope, text), set())
    if isinstance(value, Train):
      self.copies |= self.second_of.get(value.token, set())

  def given_twice(self, node: ast.Call, values: list[Value]) -> None:
    """`step(state, target_params)`: a second name beside the state that it is of may be old inside."""
    arguments = [*node.args, *(k.value for k in node.keywords)]
    states = {v.token for v in values if isinstance(v, Train)}
    for argument, value in zip(arguments, values, strict=True):
      if isinstance(value, Part) and value.token in states and isinstance(argument, (ast.Name, ast.Attribute)):
        self.old_name(ast.unparse(argument), None)

  def came_back(self, scope: Scope, name: str, value: Value) -> Value:
    """The statistics of a model, where what a call changed takes the place of those that it was given."""
    old = scope.values.get(name)
    if not isinstance(value, Changed) or not isinstance(old, Part) or not value.collection or value.when:
      return value
    if old.token is not value.token or old.collection != value.collection or old.inner:
      return value
    self.half_keep(value.token)
    for other in scope.chain():
      for n, v in other.values.items():
        if isinstance(v, Part) and v.token is value.token and v.collection == value.collection:
          other.values[n] = dataclasses.replace(v, epoch=-1)  # a second name of the old ones
    return Part(value.token, self.epoch(value.token), value.collection)
