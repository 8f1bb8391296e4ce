"""Sizes of layers that only some rounds of a loop make, from the layer that every round makes before it.

`layers.append(nn.Dense(w))`, then `if i < last: layers.append(nn.LayerNorm())`: the norm has `w`, whichever rounds they are.
"""

from __future__ import annotations

import ast
import itertools
from typing import TYPE_CHECKING, Any

from migrate.codemod.site import Site
from migrate.trace.facts import Activation

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def of_same_round(unit: Unit, site: Site, other: Site, values: list[Any]) -> bool:
  """Whether a layer was as wide as what another of the same loop gave in the same round, every time.

  Args:
    unit: the class.
    site: the layer, behind conditions in the loop.
    other: a layer that every round makes before it.
    values: the layer's size in every instance.
  """
  source = unit.source
  loop = next((n for n in source.enclosing(other.node) if isinstance(n, ast.For | ast.If)), None)
  around = list(itertools.takewhile(lambda n: n is not loop, source.enclosing(site.node)))
  if not isinstance(loop, ast.For) or loop not in source.enclosing(site.node) or site.node.lineno <= other.node.lineno:
    return False
  if any(isinstance(n, ast.Continue | ast.Break) for n in ast.walk(loop)):
    return False
  tests = [n for n in reversed(around) if isinstance(n, ast.If)]
  if not tests or any(isinstance(n, ast.For | ast.While | ast.IfExp | ast.FunctionDef | ast.Lambda) for n in around):
    return False
  gives = _by_run([(a, unit.project.output_features(m)) for a, _, m in other.made])
  wanted = _by_run([(a, v) for (a, _, _), v in zip(site.made, values, strict=True)])
  if not wanted or len({v for run in wanted.values() for v in run}) < 2:
    return False
  held = [_by_run([(e.activation, bool(e.value)) for e in unit.events(test.test)]) for test in tests]
  inside = [{id(n) for s in test.body for n in ast.walk(s)} for test in tests]
  sides = [id(site.node) in nodes for nodes in inside]
  for run, sizes in wanted.items():
    rounds = list(range(len(gives.get(run, []))))
    for tested, side in zip(held, sides, strict=True):
      seen = tested.get(run, [])
      if len(seen) != len(rounds):
        return False
      rounds = [r for r, value in zip(rounds, seen, strict=True) if value is side]
    if [gives[run][r] for r in rounds] != sizes or None in sizes:
      return False
  return True


def _by_run(pairs: list[tuple[Activation, Any]]) -> dict[int, list[Any]]:
  found: dict[int, list[Any]] = {}
  for activation, value in pairs:
    found.setdefault(id(activation), []).append(value)
  return found
