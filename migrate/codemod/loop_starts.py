"""Sizes that change in a loop and that nothing tells before its first round: an argument for that one."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from migrate.codemod.put_together import JOINS
from migrate.codemod.scope import Dims, Local, Stmt, given_in
from migrate.codemod.site import Site
from migrate.codemod.source import dotted

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class LoopStarts:
  """First sizes of loops, mixed into `Unit`."""

  def loop_start(self: Unit, node: ast.For | ast.While, name: str) -> Callable[[], str] | None:
    """What gives the last axis of an array before a loop, asked for where it is read.

    Args:
      node: the loop.
      name: the array, a new one after each round.

    Returns:
      None where the axis is the same in every round, or is not seen as the loop begins.
    """
    places = [n for s in node.body for n in ast.walk(s) if isinstance(n, ast.Name) and n.id == name]
    loads = [n for n in places if isinstance(n.ctx, ast.Load)]
    stores = [n for n in places if not isinstance(n.ctx, ast.Load)]
    if not loads or not stores or min(n.lineno for n in loads) > min(n.lineno for n in stores):
      return None
    first = min(loads, key=lambda n: (n.lineno, n.col_offset))
    events = sorted(self.array_events(first) or [], key=lambda e: e.order)
    if not events or any(not e.value.shape for e in events):
      return None
    rounds: dict[int, list[int]] = {}
    runs = {}
    for event in events:
      runs.setdefault(id(event.activation), event.activation)
      rounds.setdefault(id(event.activation), []).append(event.value.shape[-1])
    if all(len(set(sizes)) == 1 for sizes in rounds.values()):
      return None
    local = self.env.get(name)
    maker = self._site_called(local.node) if local is not None and local.node is not None else None
    wished = f"{maker.attr if maker is not None and maker.attr else name}_features"
    if any(wished in given_in(item) for item in self.block):  # an earlier loop has counted under this name
      wished = f"flat_{wished}" if _flattens(local) else f"{wished}_1"
    site = Site(name, ast.Call(first, [], []), [(a, 0, a.module) for a in runs.values()], None)
    values = [rounds[key][0] for key in runs]
    found: list[str] = []

    def start() -> str:
      if not found:
        owned = self.matches([(a.module, v) for a, v in zip(runs.values(), values, strict=True)])
        named = [text for rank, text in owned if rank >= 4 or (rank >= 2 and len(set(values)) > 1)]
        found.append(named[0] if named else self.hoist(site, "features", values, wished))
      return found[0]

    return start

  def name_joined(self: Unit, node: ast.For | ast.While) -> None:
    """Names the last axis of what the rounds of a loop join to something, where nothing tells it: `inputs` of a skip."""
    stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    joined = [c for c in ast.walk(node) if isinstance(c, ast.Call) and ast.unparse(c.func).rpartition(".")[2] in JOINS]
    for name in [n for c in joined for n in ast.walk(c) if isinstance(n, ast.Name)]:
      local = self.env.get(name.id)
      # some runs may never come to the name in the loop
      events = (self.array_events(local.node) if local is not None and local.node is not None else None) or []
      ranks = {len(e.value.shape) for e in events}
      if local is None or local.kind != "array" or name.id in stored or len(ranks) != 1 or (local.dims or [[]])[-1]:
        continue
      sizes = {id(e.activation): e.value.shape[-1] for e in events}
      runs = {id(e.activation): e.activation for e in events}
      if not all(e.value.shape and e.value.shape[-1] == sizes[id(e.activation)] for e in events):
        continue
      fresh, i = f"{name.id}_features", 1
      while fresh in self.parameters or self.joined_names.setdefault(fresh, node) is not node:  # of another loop
        fresh, i = f"{name.id}_features_{i}", i + 1
      site = Site(name.id, ast.Call(name, [], []), [(a, 0, a.module) for a in runs.values()], None)
      hoist = functools.cache(functools.partial(self.hoist, site, "features", [*sizes.values()], fresh))
      self.block.append(Stmt(lambda fresh=fresh, hoist=hoist: f"{fresh} = {hoist()}", frozenset({fresh})))
      self.env[fresh] = Local("static")
      dims: Dims = [[] for _ in range(ranks.pop() - 1)]
      same = local.node.id if isinstance(local.node, ast.Name) else ""
      for other in {name.id, same} & set(self.env):  # `inputs = x`
        if not (self.env[other].dims or [[]])[-1]:
          known = self.env[other].dims or [*dims, []]
          self.env[other] = dataclasses.replace(self.env[other], dims=[*known[:-1], [fresh]])


def _flattens(local: Local | None) -> bool:
  """Whether a local is an array that was given another shape."""
  made = local.node if local is not None else None
  return (
    isinstance(made, ast.Call) and (dotted(made.func) or getattr(made.func, "attr", "")).rpartition(".")[2] == "reshape"
  )
