"""Layers that several compact methods of a class make under one name: in Linen they are one layer.

Each compact method counts automatic names anew, and `name=` may come again in another method: where `encode` and `__call__`
both make `nn.Dense(8, name="proj")` they use the same parameters. NNX has one attribute for them.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.carries import made_alike, what_is_made
from migrate.codemod.shared_names import kind_made, makers_in, shared_layer, tell_one_layer
from migrate.codemod.site import Site, fields_of
from migrate.codemod.spread import name_given
from migrate.codemod.values_same import same

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def layer_made_before(unit: Unit, node: ast.Call) -> Site | None:
  """The layer that is there already and that Linen takes a construction for; None for a new one.

  Args:
    unit: the class whose method is written.
    node: a construction.
  """
  return shared_layer(unit, node) or made_alike(unit, node) or _layer_of_other_method(unit, node)


def _layer_of_other_method(unit: Unit, node: ast.Call) -> Site | None:
  here = _method(unit, node)
  if here is None or unit.in_setup or unit.function_depth or unit.iterator or unit.loops:
    return None
  found = [
    (other, site, there)
    for other, site in unit.sites.items()
    if isinstance(other, ast.Call) and site.attr and not site.looped and site.guards is not None
    if (there := _method(unit, other)) is not None and there is not here
    if _one_name(unit, (node, here), (other, there))
  ]
  for other, site, _ in found:
    if _alike(unit, node, other) and set(site.guards or ()) <= set(unit.guards):
      site.elsewhere = True
      return site
  for other, site, there in found[:1]:
    tell_one_layer(unit, node, f"{other.lineno}, which `{there.name}` makes otherwise", "both methods", site)
  return None


def _method(unit: Unit, node: ast.AST) -> ast.FunctionDef | None:
  """The compact method of this class that a construction stands in."""
  methods = [n for n in unit.source.enclosing(node) if isinstance(n, ast.FunctionDef)]
  known = next((n for n in methods if unit.info.methods.get(n.name) is n), None)
  return known if known is not None and unit.is_compact(known) else None


def _one_name(unit: Unit, mine: tuple[ast.Call, ast.FunctionDef], theirs: tuple[ast.Call, ast.FunctionDef]) -> bool:
  """Whether two constructions in two methods make layers of one name."""
  (node, here), (other, there) = mine, theirs
  own, others = ({unit.instance_key(a, m) for a, _, m in unit.made_at(n)} for n in (node, other))
  if own and others:
    return bool(own & others)
  given, known = name_given(node), name_given(other)
  if given is not None or known is not None:
    return isinstance(given, ast.Constant) and isinstance(known, ast.Constant) and given.value == known.value
  counts = [_counted(unit, n, method) for n, method in ((node, here), (other, there))]
  return counts[0] is not None and counts[0] == counts[1] and what_is_made(node) == what_is_made(other)


def _counted(unit: Unit, node: ast.Call, method: ast.FunctionDef) -> tuple[str, int] | None:
  """Class and number of an automatic name, where every call of the method makes the same layers before it."""
  kind, compact = kind_made(unit, node), unit.info.compact_methods()
  calls = (c.func.attr for c in ast.walk(method) if isinstance(c, ast.Call) and isinstance(c.func, ast.Attribute))
  if kind is None or any(name in compact for name in calls):
    return None
  before = [c for c in makers_in(unit, method.body) if kind_made(unit, c) == kind and name_given(c) is None]
  before = before[: before.index(node) + 1] if node in before else []
  plain = (ast.Assign, ast.AnnAssign, ast.Return, ast.Expr, ast.Call, ast.Attribute, ast.BinOp, ast.keyword, ast.Tuple)
  straight = all(isinstance(n, plain) for c in before for n in unit.source.enclosing(c) if _inside(unit, n, method))
  return (kind, len(before)) if before and straight else None


def _inside(unit: Unit, node: ast.AST, method: ast.FunctionDef) -> bool:
  return method in unit.source.enclosing(node)


def _alike(unit: Unit, node: ast.Call, other: ast.Call) -> bool:
  """Whether two constructions say the same layer: as written, or wherever both were made."""
  if what_is_made(node) == what_is_made(other):
    return True
  theirs = {unit.instance_key(a, m): fields_of(m) for a, _, m in unit.made_at(other)}
  own = {unit.instance_key(a, m): fields_of(m) for a, _, m in unit.made_at(node)}
  return bool(own) and all(key in theirs and same(fields, theirs[key]) for key, fields in own.items())
