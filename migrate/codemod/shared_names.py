"""Layers of two ways through a method that have one automatic name: in Linen they are one layer.

`if reverse: ... Dense() ... else: ... Dense() ...`, where a call decides: whatever way a call goes, the first `Dense` it
makes is `Dense_0`. An example that takes one way only makes one of them, and the other way must find that one.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.settled import negated
from migrate.codemod.site import Site
from migrate.codemod.spread import name_given
from migrate.core.report import Finding

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def shared_layer(unit: Unit, node: ast.Call) -> Site | None:
  """The layer that the other way of a condition made already under the same name; None where there is none.

  Args:
    unit: the class whose method is written.
    node: a construction.
  """
  if unit.in_setup or unit.function_depth:
    return None
  ways = _ways(unit, node)
  if ways is None:
    return None
  mine, theirs = ways
  kind = kind_made(unit, node)
  if kind is None:
    return None
  own = [c for c in makers_in(unit, mine) if kind_made(unit, c) == kind]
  others = [c for c in makers_in(unit, theirs) if kind_made(unit, c) == kind and c in unit.sites]
  twin = _twin(unit, node, own, others)
  site = unit.sites.get(twin) if twin is not None else None
  if twin is None or site is None:
    return None
  alike = [ast.dump(a) for a in (*twin.args, *twin.keywords)] == [ast.dump(a) for a in (*node.args, *node.keywords)]
  if alike and (_by_number(unit, node, site) if unit.loops or site.looped else True):
    return site
  tell_one_layer(unit, node, f"{twin.lineno}, which the other way makes under the same name", "both ways", site)
  return None


def tell_one_layer(unit: Unit, node: ast.Call, other: str, users: str, site: Site) -> None:
  """Says that Linen has one layer for two constructions which can't be written as one."""
  unit.note(Finding(
    unit.where(node), f"in Linen this is the layer of line {other}",
    "one layer", f"let {users} use `self.{site.attr}`", "eye", "L2N103",
  ))  # fmt: skip


def attribute_of_other_way(unit: Unit, node: ast.Call) -> str:
  """The attribute of the layer that has the same `name=` where a condition that `__init__` knows goes the other way.

  Args:
    unit: the class whose method is written.
    node: a construction.
  """
  name = name_given(node)
  if not isinstance(name, ast.Constant) or unit.loops or unit.function_depth:
    return ""
  around = list(unit.source.enclosing(node))
  for other, site in unit.sites.items():
    given = name_given(other) if isinstance(other, ast.Call) else None
    if isinstance(given, ast.Constant) and given.value == name.value and not site.looped and site.guards:
      parting = next((n for n in unit.source.enclosing(other) if n in around), None)
      known = zip(site.guards, unit.guards, strict=False)
      if isinstance(parting, ast.If) and any(b == negated(a) != "True" for a, b in known):
        return site.attr
  return ""


def _ways(unit: Unit, node: ast.AST) -> tuple[list[ast.stmt], list[ast.stmt]] | None:
  """The statements of the way that a node is on, and those of the other, where a condition that only a call knows parts them."""
  inner: ast.AST = node
  for around in unit.source.enclosing(node):
    if isinstance(around, ast.If) and around in unit.open_conditions and inner is not around.test:
      after = _after(unit, around) if not around.orelse else around.orelse
      ways = (around.body, after) if inner in around.body else (around.orelse, around.body)
      return ways if all(ways) else None
    if isinstance(inner, ast.stmt):
      suite = next((s for s in _suites(around) if inner in s), [])
      for earlier in suite[: suite.index(inner)] if suite else ():
        if isinstance(earlier, ast.If) and earlier in unit.open_conditions and _after(unit, earlier):
          return suite[suite.index(earlier) + 1 :], earlier.body
    inner = around
  return None


def _after(unit: Unit, node: ast.If) -> list[ast.stmt]:
  """What follows a branch that returns: the other way."""
  if node.orelse or not node.body or not isinstance(node.body[-1], ast.Return | ast.Raise):
    return []
  suite = next((s for s in _suites(unit.source.parents[node]) if node in s), [])
  return suite[suite.index(node) + 1 :] if suite else []


def _suites(node: ast.AST) -> list[list[ast.stmt]]:
  return [s for n in ("body", "orelse", "finalbody") if isinstance(s := getattr(node, n, None), list)]


def _by_number(unit: Unit, node: ast.Call, site: Site) -> bool:
  """Whether both ways are loops that call their layers by number: `name=f"block_{i}"`, the other way round perhaps."""
  name, loop = name_given(node), unit.loops[0].node if len(unit.loops) == 1 else None
  if not isinstance(name, ast.JoinedStr) or not isinstance(loop, ast.For) or not isinstance(loop.target, ast.Name):
    return False
  numbers = [p.value for p in name.values if isinstance(p, ast.FormattedValue)]
  counts = len(numbers) == 1 and isinstance(numbers[0], ast.Name) and numbers[0].id == loop.target.id
  return counts and site.reference == f"{unit.self_name or 'self'}.{site.attr}[{loop.target.id}]"


def _twin(unit: Unit, node: ast.Call, own: list[ast.Call], others: list[ast.Call]) -> ast.Call | None:
  """The construction of the other way that has the same name."""
  given = name_given(node)
  if given is not None:
    twins = [c for c in others if (name := name_given(c)) is not None and ast.dump(name) == ast.dump(given)]
    return twins[0] if len(twins) == 1 else None
  names = {m.name for _, _, m in unit.made_at(node)}
  if names:
    return next((c for c in others if names == {m.name for _, _, m in unit.made_at(c)}), None)
  own, others = [c for c in own if name_given(c) is None], [c for c in others if name_given(c) is None]
  index = next((i for i, c in enumerate(own) if c is node), len(others))
  return others[index] if index < len(others) else None


def makers_in(unit: Unit, statements: list[ast.stmt]) -> list[ast.Call]:
  """Constructions in statements, in the order of the source."""
  calls = [n for s in statements for n in ast.walk(s) if isinstance(n, ast.Call) and unit.creates(n)]
  return sorted(calls, key=lambda c: unit.source.span(c.func))


def kind_made(unit: Unit, node: ast.Call) -> str | None:
  """The class that a construction makes, as automatic names count it."""
  made = unit.made_at(node)
  if made:
    return type(made[0][2]).__name__
  classes, record = unit.untraced_class(node), unit.untraced_layer(node)
  return classes[0].__name__ if classes else record.linen.rpartition(".")[2] if record is not None else None
