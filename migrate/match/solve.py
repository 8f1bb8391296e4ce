"""Pairs the units of both sides, and says how each pair is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from migrate.core.paths import Key
from migrate.match.assign import NEVER, best, forced
from migrate.match.bind import GUESS, NAMED, ONLY, Binding, Move, Records, Unit, bind, form
from migrate.match.evidence import Evidence, coded
from migrate.match.names import Numbers, without_numbers

PASSES = 3
CLEAR = 0.45  # of a shared word: by how much names must speak against an exchange


@dataclasses.dataclass(frozen=True)
class Pair:
  """A source unit and the target unit that it becomes.

  Attributes:
    source: units of the source, one but where several are joined.
    target: units of the target, one but where one is split.
    binding: how their leaves go.
    level: `ONLY`, `NAMED` or `GUESS`.
    rivals: (path, path) pairs that would fit as well, where the names don't speak against them; one of those that
      differ in numbers alone.
    family: which pairs could be exchanged, the same number for each.
  """

  source: tuple[Unit, ...]
  target: tuple[Unit, ...]
  binding: Binding
  level: int
  rivals: tuple[tuple[Key, Key], ...] = ()
  family: int = -1


class Solver:
  """Pairs units by what fits, by names and numbers, and at last by order."""

  def __init__(self, records: Records, numbers_s: Numbers, numbers_t: Numbers):
    self.records = records
    self.evidence = Evidence(numbers_s, numbers_t)
    self.families = 0

  def pairs(self, sources: Sequence[Unit], targets: Sequence[Unit]) -> tuple[list[Pair], list[Unit], list[Unit]]:
    """The pairs, and what is left on either side."""
    edges = _Edges(sources, targets, self.records)
    parts = edges.parts()
    out: list[Pair] = []
    for _ in range(PASSES):  # where the other layers of a module went says where this one belongs
      out = []
      for rows, columns in parts:
        out += self._part(sources, targets, rows, columns, edges)
      if not self.evidence.take((p.source[0], p.target[0], p.level) for p in out):
        break
    used_s, used_t = {id(p.source[0]) for p in out}, {id(p.target[0]) for p in out}
    return out, [u for u in sources if id(u) not in used_s], [u for u in targets if id(u) not in used_t]

  def _part(
    self, sources: Sequence[Unit], targets: Sequence[Unit], rows: list[int], columns: list[int], edges: _Edges
  ) -> list[Pair]:
    mine, theirs = [sources[i] for i in rows], [targets[j] for j in columns]
    tier = edges.tiers(rows, columns)
    possible = tier >= 0
    named, order = self.evidence.of(mine, theirs)
    first_s = np.argsort(np.argsort([u.items[0].order for u in mine])) / max(1, len(rows) - 1)
    first_t = np.argsort(np.argsort([u.items[0].order for u in theirs])) / max(1, len(columns) - 1)
    near = 1 - np.abs(first_s[:, None] - first_t[None, :])
    worth = np.where(possible, 100 * named + 20 * order + near**2 - 60 * tier, NEVER)
    chosen = best(worth)
    sure = forced(possible, chosen)
    rivals = _Rivals(chosen, possible, named, tier, mine, theirs)
    self.families += 1
    out = []
    for a, b in enumerate(chosen):
      if b < 0:
        continue
      shown = () if sure[a] else rivals.of(a)
      level = ONLY if sure[a] else GUESS if shown else NAMED
      if any(i.count > 1 for i in (*mine[a].items, *theirs[b].items)):
        level = max(level, NAMED)  # that a stack holds its layers in numeric order
      binding = edges.binding(rows[a], columns[b])
      family = -1 if sure[a] else self.families
      out.append(Pair((mine[a],), (theirs[b],), binding, max(level, binding.level), shown, family))
    return out


class _Edges:
  """Which units can be bound: found once for all units of a form, because layers come in hundreds, and forms don't."""

  def __init__(self, sources: Sequence[Unit], targets: Sequence[Unit], records: Records):
    self.sources, self.targets = sources, targets
    forms: dict[tuple, int] = {}
    self.forms_s = np.array([forms.setdefault(form(u), len(forms)) for u in sources], int)
    self.forms_t = np.array([forms.setdefault((form(u), u.classes[:1]), len(forms)) for u in targets], int)
    first_s = dict(zip(reversed(self.forms_s.tolist()), reversed(sources), strict=True))
    first_t = dict(zip(reversed(self.forms_t.tolist()), reversed(targets), strict=True))
    self.known: dict[tuple[int, int], tuple[Binding, Unit, Unit]] = {}
    for f, t in first_t.items():
      found = {(e, f): (b, s, t) for e, s in first_s.items() if (b := bind(s, t, records)) is not None}
      # a layer of a known class keeps its layout: where something fits it as it is, nothing else is considered
      settled = (
        t.classes and records.get(t.classes[0]) and not t.alone and any(b.tier == 0 for b, _, _ in found.values())
      )
      self.known |= {e: one for e, one in found.items() if not settled or one[0].tier == 0}
    self._tiers = np.full((len(forms), len(forms)), -1.0)
    for e, (binding, _, _) in self.known.items():
      self._tiers[e] = binding.tier

  def tiers(self, rows: Sequence[int], columns: Sequence[int]) -> np.ndarray:
    """The tiers of the bindings, -1 where there is none."""
    return self._tiers[np.ix_(self.forms_s[rows], self.forms_t[columns])]

  def binding(self, row: int, column: int) -> Binding:
    """How the source unit becomes the target unit."""
    binding, source, target = self.known[int(self.forms_s[row]), int(self.forms_t[column])]
    return rebound(binding, (source, target), (self.sources[row], self.targets[column]))

  def parts(self) -> list[tuple[list[int], list[int]]]:
    """The connected parts of the graph of what fits."""
    above = list(range(len(self._tiers)))

    def top(x: int) -> int:
      while above[x] != x:
        above[x] = above[above[x]]
        x = above[x]
      return x

    for one, other in self.known:
      above[top(one)] = top(other)
    parts: dict[int, tuple[list[int], list[int]]] = {}
    for side, forms in enumerate((self.forms_s, self.forms_t)):
      for place, one in enumerate(forms.tolist()):
        parts.setdefault(top(one), ([], []))[side].append(place)
    return [p for p in parts.values() if p[0] and p[1]]


def rebound(binding: Binding, old: Iterable[Unit], new: Iterable[Unit]) -> Binding:
  """The binding of some units, as that of others of the same forms."""
  same = {id(a): b for u, v in zip(old, new, strict=True) for a, b in zip(u.items, v.items, strict=True)}

  def moved(moves: tuple[Move, ...]) -> tuple[Move, ...]:
    return tuple(
      Move(tuple(same[id(i)] for i in m.sources), tuple(same[id(i)] for i in m.targets), m.ops) for m in moves
    )

  return dataclasses.replace(binding, moves=moved(binding.moves), others=tuple(map(moved, binding.others)))


class _Rivals:
  """Exchanges that fit and that the names don't clearly speak against, one of each form."""

  def __init__(
    self,
    chosen: Sequence[int],
    possible: np.ndarray,
    named: np.ndarray,
    tier: np.ndarray,
    sources: Sequence[Unit],
    targets: Sequence[Unit],
  ):
    self.chosen, self.possible, self.named, self.tier = np.array(chosen), possible, named, tier
    self.sources, self.targets = sources, targets
    self.able = possible.any(1)
    self.paired, self.over = np.flatnonzero(self.chosen >= 0), np.flatnonzero((self.chosen < 0) & self.able)
    self.free = np.setdiff1d(np.arange(possible.shape[1]), self.chosen)
    self.forms_s, self.forms_t = (coded([without_numbers(u.path) for u in side])[1] for side in (sources, targets))

  def of(self, a: int) -> tuple[tuple[Key, Key], ...]:
    """Those of a row that has a column."""
    b, named, tier, possible = self.chosen[a], self.named, self.tier, self.possible
    x, y = self.paired, self.chosen[self.paired]
    loss = named[a, b] + named[x, y] - named[a, y] - named[x, b]
    clear = (loss >= CLEAR) & (tier[a, b] + tier[x, y] <= tier[a, y] + tier[x, b])
    exchanged = x[(x != a) & possible[a, y] & possible[x, b] & ~clear]
    z = self.over  # sources that are left over
    clear = (named[a, b] - named[z, b] >= CLEAR) & (tier[a, b] <= tier[z, b])
    instead = z[possible[z, b] & ~clear]
    y = self.free
    clear = (named[a, b] - named[a, y] >= CLEAR) & (tier[a, b] <= tier[a, y])
    places = y[possible[a, y] & ~clear]
    rows = np.sort(np.concatenate([exchanged, instead]))
    columns = np.where(self.chosen[rows] >= 0, self.chosen[rows], b)
    rows, columns = np.append(rows, np.full(len(places), a)), np.append(columns, places)
    _, first = np.unique(self.forms_s[rows] * len(self.targets) + self.forms_t[columns], return_index=True)
    pairs = zip(rows[np.sort(first)].tolist(), columns[np.sort(first)].tolist(), strict=True)
    return tuple((self.sources[x].path, self.targets[y].path) for x, y in pairs)


__all__ = ["GUESS", "NAMED", "ONLY", "Pair", "Solver", "rebound"]
