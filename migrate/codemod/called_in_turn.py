"""Lists of layers that a loop calls one after another: `for layer in self.layers: x = nn.relu(layer(x))`.

An example with one layer in the list does not show that the next takes what this one gives; the loop does.
"""

from __future__ import annotations

import ast
import collections
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from migrate.codemod.site import Need, Site
from migrate.codemod.sizes_pool import closed
from migrate.codemod.source import names_in
from migrate.trace.facts import Activation

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_OTHER_WIDTH = ("jax.numpy.", "jax.lax.", "numpy.", "einops.", "flax.linen.glu", "jax.nn.glu")


def called_in_turn(unit: Unit, site: Site, need: Need) -> bool:
  """Whether every run had one layer of a list of `setup`, and a loop hands each what the one before gave."""
  runs = collections.Counter(id(a) for a, _, _ in site.made)
  if not site.listed or not site.attr or set(runs.values()) != {1} or need.axis not in (None, 1):
    return False
  loops = (n for m in unit.info.methods.values() for n in ast.walk(m) if isinstance(n, ast.For))
  return any(_hands_on(unit, site, need, loop) for loop in loops)


def firsts_of(site: Site, values: Sequence[Any]) -> list[tuple[Activation, Any, Any]]:
  """(activation, module, value) of the first layer that each run puts into its list."""
  rows = list(zip(site.made, values, strict=True))
  return [(a, m, v) for i, ((a, _, m), v) in enumerate(rows) if i == 0 or site.made[i - 1][0] is not a]


def learn_start(unit: Unit, site: Site, need: Need, call: ast.Call) -> None:
  """Keeps what the first layer of a list of `setup` is called with before the loop hands on what the layers give."""
  given = unit.argument(call, site, need.call_parameter) if site.listed and need.axis == 1 and site.made else None
  dims = unit.dims(given) if given is not None else None
  if not dims:
    return
  firsts = firsts_of(site, need.values)
  head = Site(site.attr, site.node, [(a, 0, m) for a, m, _ in firsts], site.record)
  told = [c for c in dims[-1] if closed(c) and unit.holds(head, c, [v for _, _, v in firsts])]
  found = [t for c in told if (t := unit.at_setup_site(site, c)) is not None]
  known = site.starts.setdefault(need.parameter, [])
  known += [t for t in found if t not in known]


def _hands_on(unit: Unit, site: Site, need: Need, loop: ast.For) -> bool:
  """Whether a round of the loop leaves what the layer gave under the name that the next layer is called with."""
  place = f"self.{site.attr}"
  targets = names_in(ast.unparse(loop.target))
  over = any(ast.unparse(n) == place for n in ast.walk(loop.iter) if isinstance(n, ast.Attribute))
  for call in (n for s in loop.body for n in ast.walk(s) if isinstance(n, ast.Call)):
    listed = isinstance(call.func, ast.Subscript) and ast.unparse(call.func.value) == place
    counted = listed and bool(names_in(ast.unparse(call.func)) & targets)
    if not counted and not (over and isinstance(call.func, ast.Name) and call.func.id in targets):
      continue
    given = unit.argument(call, site, need.call_parameter)
    if isinstance(given, ast.Name) and _kept(unit, loop.body, call, given.id):
      return True
  return False


def _kept(unit: Unit, body: list[ast.stmt], call: ast.Call, name: str) -> bool:
  """Whether every assignment of the name after the call keeps the layer's width."""
  holding, stored = set[str](), False
  for node in (n for s in body for n in ast.walk(s)):
    if not isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) or node.value is None:
      continue
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    written = {t.id for t in targets if isinstance(t, ast.Name)}
    if _same_width(unit, node.value, call, holding):
      holding |= written
      stored = stored or name in written
    elif name in written and stored:
      return False
  return stored


def _same_width(unit: Unit, node: ast.expr, call: ast.Call, holding: set[str]) -> bool:
  """Whether an expression has the last axis of the layer's output, as far as its form tells."""
  match node:
    case ast.Call() if node is call:
      return True
    case ast.Name():
      return node.id in holding
    case ast.Call(args=[first, *_]):
      full = unit.resolve(node.func) or ""
      return not full.startswith(_OTHER_WIDTH) and _same_width(unit, first, call, holding)
    case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div()):
      return any(_same_width(unit, side, call, holding) for side in (node.left, node.right))
    case ast.IfExp():
      return _same_width(unit, node.body, call, holding) or _same_width(unit, node.orelse, call, holding)
  return False
