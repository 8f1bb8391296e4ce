"""Branches and loops of training programs: what holds after either way, and after any number of rounds."""

from __future__ import annotations

import ast
import dataclasses

from migrate.codemod.training.base import Base
from migrate.codemod.training.values import (
  NOTHING,
  PLAIN,
  Changed,
  Copied,
  Grads,
  Held,
  Live,
  Mixed,
  OptState,
  Part,
  Plain,
  Record,
  Stats,
  Token,
  Train,
  Tree,
  Tup,
  Value,
  Variables,
  special,
)

State = tuple[dict[str, Value], dict[Token, int], set[Token], set[Token]]


class Branches(Base):
  """One method a kind of statement; each returns whether what follows is reached."""

  def _snapshot(self) -> State:
    return {**self._attributes(), **self.scope.values}, dict(self.epochs), set(self.pending), set(self.spread)

  def _attributes(self) -> dict[str, Value]:
    """What the attributes of `self` hold, where methods are read."""
    found = next((s for s in self.scope.chain() if isinstance(s.node, ast.ClassDef)), None)
    return found.values if found is not None else {}

  def _load(self, state: State) -> None:
    attributes = self._attributes()
    attributes.clear()
    attributes |= {n: v for n, v in state[0].items() if n.startswith("self.")}
    self.scope.values = {n: v for n, v in state[0].items() if not n.startswith("self.")}
    self.epochs, self.pending, self.spread = dict(state[1]), set(state[2]), set(state[3])

  def _merge(self, one: State, other: State) -> None:
    """What holds after either of two ways."""
    epochs = {t: max(one[1].get(t, 0), other[1].get(t, 0)) for t in {*one[1], *other[1]}}
    values: dict[str, Value] = {}
    for name in {*one[0], *other[0]}:
      if name not in one[0] or name not in other[0]:
        values[name] = _brought(one[0].get(name) or other[0][name], one[1] if name in one[0] else other[1], epochs)
        continue
      a, b = _brought(one[0][name], one[1], epochs), _brought(other[0][name], other[1], epochs)
      values[name] = a if a == b else _either(a, b)
    self._load((values, epochs, one[2] | other[2], one[3] | other[3]))
    for group in self.groups:
      self.member_epochs[group, self.epoch(group)] = {m: self.epoch(m) for m in group.inside()}
    for token in one[3] ^ other[3]:  # on several devices on one way alone: nothing is certain of it
      self.advance(token)

  def _if(self, node: ast.If) -> bool:
    self.plain_test(node.test)
    start = self._snapshot()
    first_reached = self.block(node.body)
    first = self._snapshot()
    self._load(start)
    second_reached = self.block(node.orelse)
    second = self._snapshot()
    known = self._none_test(node.test, start[0])
    if known is not None and first_reached and second_reached:
      self._load(first if known else second)
    elif first_reached and second_reached:
      self._merge(first, second)
      self.in_training(node, first[0], second[0])
    else:
      self._load(first if first_reached else second)
      self.epochs = {t: max(first[1].get(t, 0), second[1].get(t, 0)) for t in {*first[1], *second[1]}} if not (
        first_reached or second_reached) else self.epochs  # fmt: skip
    return first_reached or second_reached

  def _none_test(self, node: ast.expr, values: dict[str, Value]) -> bool | None:
    """Whether `x is None` or `x is not None` holds, where it is known what `x` is here."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or ast.unparse(node.comparators[0]) != "None":
      return None
    if not isinstance(node.left, ast.Name) or not isinstance(node.ops[0], (ast.Is, ast.IsNot)):
      return None
    value = values.get(node.left.id)
    if value == NOTHING:
      return isinstance(node.ops[0], ast.Is)
    return isinstance(node.ops[0], ast.IsNot) if isinstance(value, Plain) and value.full == "dict" else None

  def _loop(self, node: ast.For | ast.While) -> None:
    for _ in range(2):  # what one round leaves behind, the next one meets
      start = self._snapshot()
      if isinstance(node, ast.For):
        self.bind_plain(node.target, PLAIN)
      self.block(node.body)
      self._merge(start, self._snapshot())
    self.block(node.orelse)

  def _for(self, node: ast.For) -> None:
    self.plain(node.iter)
    self._loop(node)

  def _while(self, node: ast.While) -> None:
    self.plain(node.test)
    self._loop(node)

  def _with(self, node: ast.With) -> bool:
    for item in node.items:
      value, _ = self.eval(item.context_expr)
      if special(value):
        raise self.left(node, "part of a model as a context", "rewrite it by hand")
      if item.optional_vars is not None:
        self.bind_plain(item.optional_vars, value)
    return self.block(node.body)

  def _try(self, node: ast.Try) -> bool:
    start = self._snapshot()
    reached = self.block(node.body)
    end = self._snapshot()
    for handler in node.handlers:
      self._load(start)
      self.block(handler.body)
      self._merge(end, self._snapshot())
      end = self._snapshot()
    self._load(end)
    self.block(node.orelse)
    self.block(node.finalbody)
    return reached or bool(node.handlers)

  def _raise(self, node: ast.Raise) -> bool:
    self.anything(node)
    return False


def _brought(value: Value, own: dict[Token, int], epochs: dict[Token, int]) -> Value:
  """A value of one way, in the count of both: what was up to date still is."""
  if isinstance(value, Tup):
    return Tup(tuple(_brought(v, own, epochs) for v in value.items))
  if isinstance(value, Record):
    return Record(value.cls, tuple((n, _brought(v, own, epochs)) for n, v in value.items))
  if isinstance(value, (Train, Part, Variables, OptState, Grads, Live, Copied, Stats)):
    fresh = value.epoch == own.get(value.token, 0)
    return dataclasses.replace(value, epoch=epochs.get(value.token, 0) if fresh else -1)
  return value


def _either(a: Value, b: Value) -> Value:
  for one, other in ((a, b), (b, a)):
    if one == NOTHING and isinstance(other, (Grads, Tree)):
      return other  # who uses them knows that they are there
  if isinstance(a, Held) and isinstance(b, Held) and dataclasses.replace(a, epoch=0) == dataclasses.replace(b, epoch=0):
    return dataclasses.replace(a, epoch=min(a.epoch, b.epoch))
  if isinstance(a, Record) and isinstance(b, Record) and a.cls is b.cls:
    items = tuple((n, v if v == w else _either(v, w)) for (n, v), (_, w) in zip(a.items, b.items, strict=True))
    return Mixed() if any(isinstance(v, Mixed) for _, v in items) else Record(a.cls, items)
  if isinstance(a, Part) and isinstance(b, Changed) and (a.token, a.collection) == (b.token, b.collection):
    return b
  if isinstance(a, Changed) and isinstance(b, Part):
    return _either(b, a)
  if not any(special(v) or isinstance(v, (Live, Mixed)) for v in (a, b)):
    return PLAIN
  return Mixed()
