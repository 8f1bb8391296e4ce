"""Sizes that change in a loop and that nothing tells before its first round: an argument for that one."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from migrate.codemod.scope import Local, given_in
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


def _flattens(local: Local | None) -> bool:
  """Whether a local is an array that was given another shape."""
  made = local.node if local is not None else None
  return (
    isinstance(made, ast.Call) and (dotted(made.func) or getattr(made.func, "attr", "")).rpartition(".")[2] == "reshape"
  )
