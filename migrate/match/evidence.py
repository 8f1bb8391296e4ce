"""What names, numbers and neighbours say for each pair of units, whole tables at a time."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from migrate.core.paths import Key
from migrate.match.bind import GUESS, ONLY, Unit
from migrate.match.names import Numbers, bag, likeness, same_numbers, without_numbers, words

Votes = dict[Key, dict[Key, int]]


class Evidence:
  """What speaks for each pair; it learns from where other layers went."""

  def __init__(self, numbers_s: Numbers, numbers_t: Numbers):
    self.numbers_s, self.numbers_t = numbers_s, numbers_t
    self._only: Votes = {}
    self._all: Votes = {}

  def of(self, sources: Sequence[Unit], targets: Sequence[Unit]) -> tuple[np.ndarray, np.ndarray]:
    """(what names and sure numbers say, what order says) for each source and each target."""
    strong, weak = same_numbers(
      [self.numbers_s.of(u.path) for u in sources], [self.numbers_t.of(u.path) for u in targets]
    )
    strong += _shares(self._only, sources, targets)
    weak += _shares(self._all, sources, targets)
    return _likeness(sources, targets) + strong, weak

  def take(self, pairs: Iterable[tuple[Unit, Unit, int]]) -> bool:
    """Learns from (source, target, level); whether that is something new."""
    pairs, before = list(pairs), (self._only, self._all)
    self._only = _votes((s, t) for s, t, level in pairs if level == ONLY)
    self._all = _votes((s, t) for s, t, level in pairs if level < GUESS)
    return before != (self._only, self._all)


def coded(values: Sequence[Hashable]) -> tuple[list, np.ndarray]:
  """The values without repetitions, and for each its place among them."""
  known: dict[Hashable, int] = {}
  codes = np.array([known.setdefault(v, len(known)) for v in values], int)
  return list(known), codes


def _likeness(sources: Sequence[Unit], targets: Sequence[Unit]) -> np.ndarray:
  mine, rows = coded([without_numbers(u.path) for u in sources])
  theirs, columns = coded([(without_numbers(u.path), u.classes) for u in targets])
  table = np.zeros((len(mine), len(theirs)))
  for j, (other, around) in enumerate(theirs):
    classes = frozenset(w for name in around for w in words(name.rpartition(".")[2])) - bag(other)
    table[:, j] = [likeness(one, other, classes) for one in mine]
  return table[np.ix_(rows, columns)]


def _votes(pairs: Iterable[tuple[Unit, Unit]]) -> Votes:
  """How many layers of each source module went to each target module."""
  out: Votes = {}
  for source, target in pairs:
    s, t = source.path[:-1], target.path[:-1]
    for end in range(len(s), 0, -1):
      row = out.setdefault(s[:end], {})
      for stop in range(len(t), 0, -1):
        row[t[:stop]] = row.get(t[:stop], 0) + 1
  return out


def _shares(votes: Votes, sources: Sequence[Unit], targets: Sequence[Unit]) -> np.ndarray:
  """The part of the layers beside each source that went beside each target."""
  mine, rows = coded([u.path[:-1] for u in sources])
  theirs, columns = coded([u.path[:-1] for u in targets])
  places = {path: j for j, path in enumerate(theirs) if path}
  table = np.zeros((len(mine), len(theirs)))
  for i, path in enumerate(mine):
    row = votes.get(path) or {}
    most = max(row.values(), default=1)
    for other, count in row.items():
      if other in places:
        table[i, places[other]] = count / most
  return table[np.ix_(rows, columns)]
