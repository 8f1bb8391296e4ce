"""Sizes that the arguments of a construction tell: `ch` in `Block(ch * 2)`, where what comes in had `ch` every time."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from migrate.codemod.guesses import differ
from migrate.codemod.site import Site
from migrate.codemod.sizes import likeness
from migrate.trace.facts import Activation, ArraySpec

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class OwnSizes:
  """Sizes from a layer's own arguments, mixed into `Unit` as a part of `SiteSizes`."""

  def _own_argument(self: Unit, site: Site, values: list[Any]) -> str | None:
    """The width that a layer is made with, where it keeps it: what comes in had it every time, at several sizes."""
    if not differ(values) or any(v is None for v in values):
      return None
    for name, text in site.arguments.items():
      given = [getattr(m, name, None) for _, _, m in site.made]
      if likeness(name) >= 2 and given == values and self.readable_at(site, text):
        return text
    return None

  def _own_count(self: Unit, site: Site, values: list[Any], multiples: bool = False) -> str | None:
    """A local of which the arguments are computed and that the method counts itself: `ch *= 2` in a loop.

    Args:
      site: the layer.
      values: its size in every instance.
      multiples: whether twice, three and four times the local will do as well.
    """
    at_home = site.home is None or site.home[0] is self.source
    found = own_count(self, site.node, site.made, values, (2, 3, 4) if multiples else (1,)) if at_home else None
    return found if found is not None and self.readable_at(site, found) else None


def own_count(
  unit: Unit, node: ast.Call, made: list[tuple[Activation, int, Any]], values: list[Any], times: Sequence[int]
) -> str | None:
  """A local of which a construction's arguments are computed, or a multiple of it, that was the size every time.

  Args:
    unit: the class.
    node: the construction.
    made: what it made.
    values: the size of each.
    times: the multiples that will do.
  """
  if not differ(values) or any(type(v) is not int for v in values):
    return None
  arguments = [*node.args, *[k.value for k in node.keywords]]
  for name in [n for a in arguments for n in ast.walk(a) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]:
    seen = _aligned(unit, name, made) if _counted(unit, name) else None
    for number in times if seen is not None else ():
      if [number * v for v in seen or ()] == values:
        return name.id if number == 1 else f"{name.id} * {number}"
  return None


def step_given(unit: Unit, node: ast.Call, made: list[tuple[Activation, int, Any]], outputs: list[Any]) -> str | None:
  """The argument of a construction that was what every layer of a list returned: `w` of `self.block(w)`.

  Args:
    unit: the class.
    node: the construction.
    made: what it made.
    outputs: the last axis of what each returned.
  """
  if not differ(outputs) or any(type(v) is not int for v in outputs):
    return None
  for argument in [*node.args, *[k.value for k in node.keywords]]:
    if not isinstance(argument, ast.Starred | ast.Constant) and _aligned(unit, argument, made) == outputs:
      return unit.try_static(argument)
  return None


def counts_itself(unit: Unit, items: Sequence[ast.expr]) -> bool:
  """Whether a method counts what comes into each layer of a list, so that none must ask the one before it.

  Args:
    unit: the class.
    items: what is appended to the list.
  """
  for node in items:
    made = unit.made_at(node)
    given = [calls[0].args[0] if (calls := unit.project.calls_of(m)) and calls[0].args else None for _, _, m in made]
    values = [g.shape[-1] if isinstance(g, ArraySpec) and g.shape else None for g in given]
    if not isinstance(node, ast.Call) or own_count(unit, node, made, values, (1, 2, 3, 4)) is None:
      return False
  return bool(items)


def _counted(unit: Unit, name: ast.Name) -> bool:
  """Whether a method changes a local by numbers that it says itself: no list of an example's can do that by chance."""
  method = next((n for n in unit.source.enclosing(name) if isinstance(n, ast.FunctionDef)), None)
  inside = list(ast.walk(method)) if method is not None else []
  stores = [n for n in inside if isinstance(n, ast.Name) and n.id == name.id and isinstance(n.ctx, ast.Store)]
  parents = [unit.source.parents.get(n) for n in stores]
  steps = [p for p in parents if isinstance(p, ast.AugAssign)]
  return bool(steps) and all(
    isinstance(p, ast.AugAssign | ast.Assign) and (p not in steps or isinstance(p.value, ast.Constant)) for p in parents
  )


def _aligned(unit: Unit, name: ast.expr, made: list[tuple[Activation, int, Any]]) -> list[int] | None:
  """What an expression was at every construction of a layer; None where that can't be told."""
  seen: dict[int, list[Any]] = {}
  for event in unit.events(name):
    seen.setdefault(id(event.activation), []).append(event.value)
  taken: dict[int, int] = {}
  found: list[int] = []
  for activation, _, _ in made:
    at = taken.get(id(activation), 0)
    taken[id(activation)] = at + 1
    run = seen.get(id(activation), [])
    if at >= len(run) or type(run[at]) is not int:
      return None
    found.append(run[at])
  return found if all(len(seen[key]) == count for key, count in taken.items()) else None


def enters_list(unit: Unit, site: Site, values: list[Any]) -> str | None:
  """What the first layer of a list gets that a loop calls through later, from what the loop begins with: `x[..., None]`."""
  parents = unit.source.parents
  row = parents.get(site.node)
  store = parents.get(row) if isinstance(row, ast.List) and row.elts[0] is site.node else None
  method = next((n for n in unit.source.enclosing(site.node) if isinstance(n, ast.FunctionDef)), None)
  if method is None or not isinstance(store, ast.Assign) or not isinstance(store.targets[0], ast.Name):
    return None
  nodes = list(ast.walk(method))
  stored = [n for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
  loops = [n for n in nodes if isinstance(n, ast.For) and ast.unparse(n.iter) == store.targets[0].id]
  called = [c for n in loops[:1] for c in ast.walk(n) if isinstance(c, ast.Call) and _is_name(c.func, n.target)]
  given = called[0].args[0] if called and called[0].args else None
  before = [n for n in stored if isinstance(given, ast.Name) and n.id == given.id and n.lineno < loops[0].lineno]
  last = parents.get(before[-1]) if before else None
  if not isinstance(last, ast.Assign) or last not in method.body:
    return None
  reads = {n.id for n in ast.walk(last.value) if isinstance(n, ast.Name)}
  if any(n.id in reads and n.lineno < last.lineno for n in stored):
    return None
  dims = unit.dims(last.value) if unit.array_events(last.value) else None
  found = [c for c in (dims[-1] if dims else ()) if unit.holds(site, c, values) and unit.readable_at(site, c)]
  return found[0] if found else None


def _is_name(node: ast.expr, target: ast.expr) -> bool:
  return isinstance(node, ast.Name) and isinstance(target, ast.Name) and node.id == target.id
