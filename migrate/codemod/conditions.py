"""Conditions of a method as `__init__` has them."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from migrate.codemod.given_flags import asked_for, flag
from migrate.codemod.none_states import asks_state
from migrate.codemod.project import Event, has_array
from migrate.codemod.scope import Local, Stmt
from migrate.codemod.settled import is_plain
from migrate.codemod.site import InstanceKey, SizeArg
from migrate.codemod.static import NotStatic

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class Conditions:
  """Tests of `if`, mixed into `Unit` as a part of `Compound`."""

  def bind_named(self: Unit, test: ast.AST) -> None:
    """`if rank := self.rank:` is `rank = self.rank` and `if rank:` for `__init__`; the method keeps it as it is."""
    for node in _named_first(test):
      name, dims = node.target.id, self.dims(node.value) if self.array_events(node.value) else None
      static = self.try_static(node.value)
      measured = self.measured_axes(node.value)
      self.rebinding(name)
      if static is not None:
        self.block.append(Stmt(lambda name=name, static=static: f"{name} = {static}", frozenset({name})))
        self.env[name] = Local("static", node.value, measured, residue=self.residue_of(node.value))
      else:
        self.env[name] = Local("array" if dims is not None else "dynamic", node.value, dims or measured)
      self.bound_in_tests.add(node)

  def test_of(self: Unit, test: ast.AST) -> str | None:
    """The condition of an `if`; a name alone that `:=` gave needs no parentheses."""
    self.bind_named(test)
    text = self.static_test(test)
    for node in _named_first(test):
      text = text and re.sub(rf"(?<!\w)\({node.target.id}\)", node.target.id, text)
    return text

  def static_named(self: Unit, node: ast.NamedExpr, bound: frozenset[str]) -> str:
    """The name that `:=` gives a value, where `__init__` has given it the value already."""
    if node not in self.bound_in_tests:
      raise NotStatic(self.source.code(node))
    return self.static(ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target), bound)

  def static_test(self: Unit, test: ast.AST) -> str | None:
    """The condition for `__init__`, or None where only a call knows it."""
    known = asks_state(self, test) or self.shape_comparison(test)
    if known is not None:
      return known
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
      # what holds whenever the whole holds: layers made for nothing do no harm, missing ones do
      known = [t for t in map(self.static_test, test.values) if t is not None]
      if len(known) < len(test.values) and self._never_though(test, known):
        return self._hoisted_test(test)
      return " and ".join(t if is_plain(t) else f"({t})" for t in known) or None
    if (either := self._either(test)) is not None:
      return either
    try:
      text = self.static(test)
    except NotStatic:
      return self._hoisted_test(test)
    return text if text != "True" else None

  def _either(self: Unit, test: ast.AST) -> str | None:
    """`self.strides == 2 or x.shape != y.shape`: the comparison of shapes by the sizes that differ; None for other tests."""
    if not isinstance(test, ast.BoolOp) or not isinstance(test.op, ast.Or):
      return None
    shapes = {v: self.shape_comparison(v, self.source.code(test)) for v in test.values}
    texts = [shapes[v] or self.try_static(v) for v in test.values]
    if not any(shapes.values()) or None in texts:
      return None
    return " or ".join(
      t if shapes[v] or is_plain(t) else f"({t})" for v, t in zip(test.values, texts, strict=True) if t
    )

  def _never_though(self: Unit, test: ast.BoolOp, known: list[str]) -> bool:
    """Whether a condition never held though what construction knows of it did."""
    if not known or any(e.value for e in self.events(test)):
      return not known
    parts = [self.events(v) for v in test.values if self.static_test(v) is not None]
    return bool(self.events(test)) and all(events and all(e.value is True for e in events) for events in parts)

  def _hoisted_test(self: Unit, test: ast.AST) -> str | None:
    """A condition on shapes or values of arrays, which was the same in every call of an instance: an argument tells it."""
    events = self.events(test)
    names = {n.id for n in ast.walk(test) if isinstance(n, ast.Name)}
    flags = [n for n in names & self.parameters if self._is_flag(n)]
    if flags or not events or not all(isinstance(e.value, bool) for e in events):
      return None
    if any(loop.dynamic for loop in self.loops):
      return None
    rounds = self._answers(events)
    if rounds is None or (not self.loops and any(len(set(v)) > 1 for v in rounds.values())):
      return None
    by_owner = {k: set(v) for k, v in rounds.items()}
    around = self.source.parents.get(test)
    if (
      isinstance(around, ast.If) and not self.makes_here(around.orelse) and all(v == {True} for v in by_owner.values())
    ):
      return None  # it always held: the layers are made
    parent = self.source.parents.get(test)
    made = [n for n in ast.walk(parent) if isinstance(n, ast.Call) and self.creates(n)] if parent is not None else []
    if not made:
      return None
    asked = asked_for(self, test)
    if asked and all(len(v) == 1 for v in by_owner.values()):
      if (name := flag(self, asked, {k: next(iter(v)) for k, v in by_owner.items()})) is not None:
        return name
    hint, i = re.sub(r"\W", "_", self.suggest(made[0])), 0
    attr = hint
    while attr in self.used or f"has_{attr}" in self.hoists:  # as the layer will be called
      i += 1
      attr = f"{hint}_{i}"
    name = f"has_{attr}"
    if all(len(v) == 1 for v in by_owner.values()):
      self.hoists[name] = SizeArg(name, None, 0, "", {k: next(iter(v)) for k, v in by_owner.items()})
      return name
    self.hoists[name] = SizeArg(name, None, 0, "", dict(rounds))
    turns = f"{name}_iter"
    self.block_for_lists().append(Stmt(lambda: f"{turns} = iter({name})", frozenset({turns})))
    return f"next({turns})"

  def _answers(self: Unit, events: Sequence[Event]) -> dict[InstanceKey, tuple[bool, ...]] | None:
    """What a condition gave in each instance, round by round; None where two calls of an instance differ."""
    by_run: dict[int, list[Event]] = {}
    for event in sorted(events, key=lambda e: e.order):
      by_run.setdefault(id(event.activation), []).append(event)
    found: dict[InstanceKey, tuple[bool, ...]] = {}
    for run in by_run.values():
      values = tuple(e.value for e in run)
      if found.setdefault(self.owner_key(run[0].activation), values) != values:
        return None
    return found

  def _is_flag(self: Unit, name: str) -> bool:
    """Whether an argument of the method is no array and holds none: what it is may change from call to call."""
    if self.env.get(name) is not None and self.env[name].kind == "array":
      return False
    runs = self.project.activations.get((self.source.path, f"{self.info.name}.{self.method}"), [])
    given = [a.arguments[name] for a in runs if name in a.arguments]
    return not given or not all(isinstance(v, dict) and has_array(v) for v in given)


def _named_first(test: ast.AST) -> list[ast.NamedExpr]:
  """The `:=` of a test that are evaluated whatever comes out."""
  if isinstance(test, ast.NamedExpr):
    return [test]
  if isinstance(test, ast.UnaryOp):
    return _named_first(test.operand)
  if isinstance(test, ast.Compare):
    return [*_named_first(test.left), *_named_first(test.comparators[0])]
  return _named_first(test.values[0]) if isinstance(test, ast.BoolOp) else []
