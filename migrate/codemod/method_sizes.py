"""Sizes that methods hand one another: what a class's own calls tell of its methods' arguments and results."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from flax import linen as nn

from migrate.codemod.guards import note_guards
from migrate.codemod.project import Event, is_array
from migrate.codemod.scope import Dims, given_once
from migrate.codemod.source import dotted, names_in

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

METHOD_TOKEN = re.compile(r"\bSIZE__(\w+)_IN_(\w+?)__(\d+)\b")


class MethodSizes:
  """Sizes through calls of own methods, mixed into `Unit` as a part of `Sizes`."""

  def own_method(self: Unit, node: ast.AST) -> ast.FunctionDef | None:
    """The method that `self.method(...)` calls, where the class itself defines it."""
    name = dotted(node.func) if isinstance(node, ast.Call) else None
    if name is None or not self.self_name or not name.startswith(f"{self.self_name}."):
      return None
    return self.info.methods.get(name.partition(".")[2])

  def only_computes(self: Unit, definition: ast.FunctionDef) -> bool:
    """Whether a method calls no layer and makes none, so that what it returns can be known before the others are read."""
    for inner in ast.walk(definition):
      if isinstance(inner, ast.Call):
        name = dotted(inner.func) or ""
        if (
          self.creates(inner)
          or name.startswith("self.")
          or any(isinstance(e.value, nn.Module) for e in self.events(inner.func))
          or (name.endswith((".param", ".variable")) and self.makes_layers(definition, self.source))
        ):
          return False
    return bool(self.project.activations.get((self.source.path, f"{self.info.name}.{definition.name}")))

  def note_method_call(self: Unit, node: ast.Call) -> None:
    """Keeps the axes of what a call gives one of the class's methods."""
    definition = self.own_method(node)
    if definition is None:
      return
    note_guards(self, definition)
    for name, value in given_arguments(node, definition).items():
      dims = self.dims(value) if self.array_events(value) else None
      if dims:
        self.handed.setdefault((definition.name, name), []).append([list(d) for d in dims])

  def method_result(self: Unit, node: ast.AST, item: str = "") -> Dims | None:
    """Axes of what `self.method(...)` returns, or of an item of that, in terms of what it is given here."""
    definition = self.own_method(node)
    known = self.outputs.get(f"{definition.name}{item}") if definition is not None else None
    if definition is None or known is None or not isinstance(node, ast.Call):
      return None
    given = {n: self.dims(v) for n, v in given_arguments(node, definition).items() if METHOD_TOKEN.search(str(known))}

    def inside(text: str, seen: frozenset[str] = frozenset()) -> list[str]:
      match = METHOD_TOKEN.search(text)
      if match is None:
        return [text]
      if match.group(0) in seen:
        return []  # the method calls itself with what it was given
      dims = given.get(match.group(1))
      axis = int(match.group(3))
      found = dims[-axis] if dims and axis <= len(dims) else []
      return [t for f in found[:1] for t in inside(text.replace(match.group(0), f), seen | {match.group(0)})]

    return [[t for c in axis for t in inside(c) if self.available(t)] for axis in known]

  def element_dims(self: Unit, value: ast.AST, index: int, events: list[Event]) -> Dims | None:
    """Axes of one array of a tuple that an expression gives."""
    picked = [Event(e.activation, e.order, e.value[index]) for e in events]
    return self._flow(value, picked, index) if all(is_array(e.value) for e in picked) else None

  def note_output(self: Unit, value: ast.AST) -> None:
    """Remembers the axes of what a method returns."""
    items = value.elts if isinstance(value, ast.Tuple) else []
    named = [(f"{self.method}[{i}]", e) for i, e in enumerate(items)] or [(self.method, value)]
    for name, item in named:
      dims = self.dims(item)
      if dims is not None and name not in self.outputs:
        self.outputs[name] = [list(d) for d in dims]

  def given_before(self: Unit, name: str) -> bool:
    """Whether a method that was read before gave `__init__` a local, and nothing else has its name."""
    return name not in self.env and name not in self.parameters and given_once(self.block, name)

  def resolve_method_sizes(self: Unit, text: str) -> dict[str, str]:
    """Sizes of methods' arguments -> expressions over fields and sizes of `__call__`, where all calls agree."""
    found: dict[str, str] = {}
    queue = [m.group(0) for m in METHOD_TOKEN.finditer(text)]
    while queue:
      token = queue.pop()
      if token in found:
        continue
      expression = self._handed_size(token)
      if expression is not None:
        found[token] = expression
        queue += [m.group(0) for m in METHOD_TOKEN.finditer(expression)]
    return _closed(_closed(found))

  def _handed_size(self: Unit, token: str) -> str | None:
    match = METHOD_TOKEN.fullmatch(token)
    assert match is not None
    calls = self.handed.get((match.group(2), match.group(1)), [])
    axis = int(match.group(3))
    if not calls:
      return self._handed_by_base(token, match.group(2), match.group(1), axis)
    if any(axis > len(dims) for dims in calls):
      return None
    wanted = self.token_values.get(token, {})
    for candidate in calls[0][-axis]:
      if names_in(candidate) - {"self"} - set(self.token_values) or token in candidate:
        continue
      if not all(f in self.readable for f in re.findall(r"\bself\.(\w+)", candidate)):
        continue
      if any(candidate not in dims[-axis] for dims in calls):
        continue
      inner = [n for n in names_in(candidate) if n != "self"]
      if all(self.token_values[n].get(k) is not None for n in inner for k in wanted):
        return candidate if candidate.isidentifier() or "(" in candidate or " " not in candidate else f"({candidate})"
    return None

  def _handed_by_base(self: Unit, token: str, method: str, parameter: str, axis: int) -> str | None:
    """The size that a base's method hands a method which this class overrides, among those that both are told."""
    base = self._result_of_base()
    calls = base.handed.get((method, parameter), []) if base is not None else []
    if base is None or not calls or any(axis > len(dims) for dims in calls):
      return None
    told = {s.name: s.values for s in base.sizes if s.name in self.inherited}
    wanted = self.token_values.get(token, {})
    for candidate in calls[0][-axis]:
      agrees = candidate in told and all(told[candidate].get(k, v) == v for k, v in wanted.items())
      if agrees and all(candidate in dims[-axis] for dims in calls):
        return candidate
    return None


def _closed(found: dict[str, str]) -> dict[str, str]:
  """Expressions whose sizes of methods' arguments are replaced by theirs."""
  return {t: METHOD_TOKEN.sub(lambda m: found.get(m.group(0), m.group(0)), e) for t, e in found.items()}


def given_arguments(node: ast.Call, definition: ast.FunctionDef) -> dict[str, ast.expr]:
  """Parameter -> what a call of a method gives for it."""
  names = [a.arg for a in definition.args.args[1:]]
  given = dict(zip(names, node.args, strict=False)) if not any(isinstance(a, ast.Starred) for a in node.args) else {}
  return given | {k.arg: k.value for k in node.keywords if k.arg}
