"""Pairs the units of both sides, and says how each pair is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from migrate.core.paths import Key
from migrate.match.assign import NEVER, best, forced
from migrate.match.bind import GUESS, NAMED, ONLY, Binding, Move, Records, Unit, bind, form
from migrate.match.names import Numbers, bag, likeness, same_numbers, without_numbers, words

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
    rivals: (path, path) pairs that would fit as well, where the names don't speak against them.
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
    self.numbers_s, self.numbers_t = numbers_s, numbers_t
    self.families = 0
    self.alike: dict[tuple[Key, Key, tuple[str, ...]], float] = {}
    self.bound: dict[int, tuple[Unit, Unit]] = {}
    self.only: Votes = {}
    self.all: Votes = {}

  def pairs(self, sources: Sequence[Unit], targets: Sequence[Unit]) -> tuple[list[Pair], list[Unit], list[Unit]]:
    """The pairs, and what is left on either side."""
    edges = self._edges(sources, targets)
    out: list[Pair] = []
    for _ in range(PASSES):  # where the other layers of a module went says where this one belongs
      out = []
      for rows, columns in _parts(edges, len(sources), len(targets)):
        out += self._part(sources, targets, rows, columns, edges)
      before = self.only, self.all
      self.only = _votes(p for p in out if p.level == ONLY)
      self.all = _votes(p for p in out if p.level < GUESS)
      if before == (self.only, self.all):
        break
    used_s, used_t = {id(p.source[0]) for p in out}, {id(p.target[0]) for p in out}
    return out, [u for u in sources if id(u) not in used_s], [u for u in targets if id(u) not in used_t]

  def _edges(self, sources: Sequence[Unit], targets: Sequence[Unit]) -> dict[tuple[int, int], Binding]:
    edges: dict[tuple[int, int], Binding] = {}
    # units of one form are bound alike: layers come in hundreds, and their forms don't
    forms: dict[tuple, int] = {}
    forms_s = [forms.setdefault(form(u), len(forms)) for u in sources]
    forms_t = [forms.setdefault((form(u), u.classes[:1]), len(forms)) for u in targets]
    known: dict[tuple[int, int], Binding | None] = {}
    first: dict[tuple[int, int], tuple[Unit, Unit]] = {}
    for j, t in enumerate(targets):
      for i, s in enumerate(sources):
        pair = (forms_s[i], forms_t[j])
        if pair not in known:
          known[pair] = bind(s, t, self.records)
          first[pair] = (s, t)
        found = known[pair]
        if found is not None:
          edges[i, j] = found
    self.bound = {id(found): first[pair] for pair, found in known.items() if found is not None}
    # a layer of a known class keeps its layout: where something fits it as it is, nothing else is considered
    settled = {j for (_, j), b in edges.items() if b.tier == 0 and self._layout_known(targets[j])}
    return {e: b for e, b in edges.items() if e[1] not in settled or b.tier == 0}

  def _layout_known(self, target: Unit) -> bool:
    return bool(target.classes and self.records.get(target.classes[0])) and not target.alone

  def _part(
    self, sources: Sequence[Unit], targets: Sequence[Unit], rows: list[int], columns: list[int], edges: dict
  ) -> list[Pair]:
    shape = (len(rows), len(columns))
    possible, tier = np.zeros(shape, bool), np.zeros(shape)
    named, order = np.zeros(shape), np.zeros(shape)
    for a, i in enumerate(rows):
      for b, j in enumerate(columns):
        if (i, j) in edges:
          possible[a, b], tier[a, b] = True, edges[i, j].tier
          named[a, b], order[a, b] = self._evidence(sources[i], targets[j])
    first_s = np.argsort(np.argsort([sources[i].items[0].order for i in rows])) / max(1, len(rows) - 1)
    first_t = np.argsort(np.argsort([targets[j].items[0].order for j in columns])) / max(1, len(columns) - 1)
    near = 1 - np.abs(first_s[:, None] - first_t[None, :])
    worth = np.where(possible, 100 * named + 20 * order + near**2 - 60 * tier, NEVER)
    chosen = best(worth)
    sure = forced(possible, chosen)
    self.families += 1
    out = []
    for a, b in enumerate(chosen):
      if b < 0:
        continue
      s, t = sources[rows[a]], targets[columns[b]]
      binding = self._bound(s, t, edges[rows[a], columns[b]])
      rivals = [] if sure[a] else _rivals(a, b, chosen, possible, named, tier)
      level = ONLY if sure[a] else GUESS if rivals else NAMED
      if any(i.count > 1 for i in (*s.items, *t.items)):
        level = max(level, NAMED)  # that a stack holds its layers in numeric order
      shown = tuple((sources[rows[x]].path, targets[columns[y]].path) for x, y in rivals)
      family = -1 if sure[a] else self.families
      out.append(Pair((s,), (t,), binding, max(level, binding.level), shown, family))
    return out

  def _bound(self, source: Unit, target: Unit, binding: Binding) -> Binding:
    """The binding of units of the same forms, as that of these two."""
    of_s, of_t = self.bound[id(binding)]
    same = {id(a): b for a, b in zip((*of_s.items, *of_t.items), (*source.items, *target.items), strict=True)}

    def moved(moves: tuple[Move, ...]) -> tuple[Move, ...]:
      return tuple(
        Move(tuple(same[id(i)] for i in m.sources), tuple(same[id(i)] for i in m.targets), m.ops) for m in moves
      )

    return dataclasses.replace(binding, moves=moved(binding.moves), others=tuple(map(moved, binding.others)))

  def _evidence(self, source: Unit, target: Unit) -> tuple[float, float]:
    strong, weak = same_numbers(self.numbers_s.of(source.path), self.numbers_t.of(target.path))
    strong += _share(self.only, source, target)
    weak += _share(self.all, source, target)
    return self._likeness(without_numbers(source.path), without_numbers(target.path), target.classes) + strong, weak

  def _likeness(self, one: Key, other: Key, around: tuple[str, ...]) -> float:
    found = self.alike.get((one, other, around))
    if found is None:
      classes = frozenset(w for name in around for w in words(name.rpartition(".")[2]))
      found = self.alike[one, other, around] = likeness(one, other, classes - bag(other))
    return found


Votes = dict[Key, dict[Key, int]]


def _votes(pairs: Iterable[Pair]) -> Votes:
  """How many layers of each source module went to each target module."""
  out: Votes = {}
  for pair in pairs:
    s, t = pair.source[0].path[:-1], pair.target[0].path[:-1]
    for end in range(len(s), 0, -1):
      row = out.setdefault(s[:end], {})
      for stop in range(len(t), 0, -1):
        row[t[:stop]] = row.get(t[:stop], 0) + 1
  return out


def _share(votes: Votes, source: Unit, target: Unit) -> float:
  """The part of the layers beside the source that went beside the target."""
  row = votes.get(source.path[:-1])
  if not row or not target.path[:-1]:
    return 0.0
  return row.get(target.path[:-1], 0) / max(row.values())


def _rivals(
  a: int, b: int, chosen: Sequence[int], possible: np.ndarray, named: np.ndarray, tier: np.ndarray
) -> list[tuple[int, int]]:
  """Exchanges that fit and that the names don't clearly speak against."""
  out = []
  for x, y in enumerate(chosen):
    if x == a or not possible[x].any():
      continue
    if y < 0:  # a source that is left over
      if possible[x, b] and not (named[a, b] - named[x, b] >= CLEAR and tier[a, b] <= tier[x, b]):
        out.append((x, b))
    elif possible[a, y] and possible[x, b]:
      loss = named[a, b] + named[x, y] - named[a, y] - named[x, b]
      if not (loss >= CLEAR and tier[a, b] + tier[x, y] <= tier[a, y] + tier[x, b]):
        out.append((x, y))
  taken = set(chosen)
  for y in np.flatnonzero(possible[a]):
    if y not in taken and not (named[a, b] - named[a, y] >= CLEAR and tier[a, b] <= tier[a, y]):
      out.append((a, int(y)))
  return out


def _parts(edges: dict, rows: int, columns: int) -> list[tuple[list[int], list[int]]]:
  """The connected parts of the graph of what fits."""
  above = list(range(rows + columns))

  def top(x: int) -> int:
    while above[x] != x:
      above[x] = above[above[x]]
      x = above[x]
    return x

  for i, j in edges:
    above[top(i)] = top(rows + j)
  parts: dict[int, tuple[list[int], list[int]]] = {}
  for x in range(rows + columns):
    part = parts.setdefault(top(x), ([], []))
    part[0 if x < rows else 1].append(x if x < rows else x - rows)
  return [p for p in parts.values() if p[0] and p[1]]


__all__ = ["GUESS", "NAMED", "ONLY", "Pair", "Solver"]
