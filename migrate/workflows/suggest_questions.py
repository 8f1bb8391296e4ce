"""What a matching leaves open, each question once for all layers of a series, with the evidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from migrate.core.declare import Rule, tie
from migrate.core.ops import Transpose
from migrate.core.paths import Key, Path, escape, key, show
from migrate.core.translate import read
from migrate.match.bind import GUESS, NAMED
from migrate.match.matching import Matching, question
from migrate.match.names import without_numbers
from migrate.match.solve import Pair

SHOWN = 4


@dataclasses.dataclass(frozen=True)
class Question:
  """Pairs that shapes and kinds alone do not settle.

  Attributes:
    pairs: (Linen module, NNX module), `#` for the numbers of a series.
    rivals: pairs that would fit as well.
    evidence: what speaks for the pairs.
    open: whether they are a guess.
    count: of how many layers.
    tags: of the rules that rest on it.
  """

  pairs: tuple[tuple[str, str], ...]
  rivals: tuple[tuple[str, str], ...]
  evidence: str
  open: bool
  count: int
  tags: tuple[str, ...] = ()

  def __str__(self) -> str:
    said = "; ".join(f"{a} -> {b}" for a, b in self.pairs[:SHOWN])
    more = f" and {len(self.pairs) - SHOWN} more" if len(self.pairs) > SHOWN else ""
    return f"{said}{more}: {self.evidence}"

  def to_json(self) -> dict[str, Any]:
    """A plain dict."""
    return {
      "pairs": [list(p) for p in self.pairs],
      "rivals": [list(p) for p in self.rivals],
      "evidence": self.evidence,
      "open": self.open,
      "layers": self.count,
    }


def questions(found: Matching, apart: frozenset[int] | None = None) -> list[Question]:
  """The questions of a matching, guesses first. `apart` has the ids of pairs that running both models settled."""
  groups: dict[Any, list[Pair]] = {}
  for pair in found.pairs:
    if pair.level < NAMED or (apart is not None and id(pair) in apart):
      continue
    guess = pair.level == GUESS
    # guesses that exclude one another are one question
    rivals = (
      frozenset({_form(a) for a, _ in pair.rivals} | {_forms(pair)[0]}) if guess and pair.rivals else _forms(pair)
    )
    groups.setdefault((guess, rivals), []).append(pair)
  out = [_question(pairs, guess, apart is not None) for (guess, _), pairs in groups.items()]
  return sorted(out, key=lambda q: (not q.open, q.pairs))


def _form(path: Key) -> str:
  return show(without_numbers(path)) or "(root)"


def _forms(pair: Pair) -> tuple[str, str]:
  left, right = (" + ".join(dict.fromkeys(_form(u.path) for u in side)) for side in (pair.source, pair.target))
  return left, right


def _question(pairs: Sequence[Pair], guess: bool, ran: bool) -> Question:
  named = tuple(dict.fromkeys(_forms(p) for p in pairs))
  rivals = tuple(dict.fromkeys((_form(a), _form(b)) for p in pairs for a, b in p.rivals))
  rivals = tuple(r for r in rivals if r not in named)
  whys = ", ".join(dict.fromkeys(p.binding.why for p in pairs))
  if ran:
    said = "the example does not tell these apart: their gradients are the same, or none"
  elif not guess:
    said = "others of the same shape exist; names or numbers decide"
  elif any(p.rivals for p in pairs):
    said = "others fit as well and names do not tell: by order"
  else:
    said = "the layout is a guess"
  return Question(
    named, rivals, f"{said} ({whys})", guess, len(pairs), tuple(dict.fromkeys(question(p) for p in pairs if guess))
  )


def tied_rules(found: Matching, leaves: Mapping[Path, Any]) -> tuple[list[Rule], list[Path]]:
  """Ties for left over leaves that hold the same numbers as one that has a place; and what is left then."""
  rules, left = [], []
  placed = [
    (s.members[0], s.collection, m)
    for p in found.pairs
    for m in p.binding.moves
    for s in m.sources
    if s.count == 1 and len(m.sources) == len(m.targets) == 1 and not m.ops
  ]
  for path in (((i.collection, *m)) for i in found.unmapped for m in i.members):
    spec = found.source[path]
    rule = None
    for member, collection, move in placed if len(spec.shape) > 1 else ():
      other = (collection, *member)
      theirs = found.source[other]
      turned = spec.shape == theirs.shape[::-1]
      if spec.dtype == theirs.dtype and (turned or spec.shape == theirs.shape):
        rule = _tie(path, leaves[path], leaves[other], move.targets[0].members[0], theirs.shape == spec.shape, turned)
        if rule is not None:
          break
    if rule is None:
      left.append(path)
    else:
      rules.append(rule)
  return rules, left


def _tie(path: Path, mine: Any, theirs: Any, target: Path, same: bool, turned: bool) -> Rule | None:
  try:
    a, b = np.asarray(read(mine)), np.asarray(read(theirs))
  except (TypeError, ValueError):  # shapes alone
    return None
  if a.dtype == object or b.dtype == object:
    return None
  if same and a.tobytes() == b.tobytes():
    return tie(escape(path), escape(target))
  if turned and np.ascontiguousarray(a.T).tobytes() == b.tobytes():
    return tie(escape(path), escape(target), Transpose())
  return None


__all__ = ["Question", "key", "questions", "tied_rules"]
