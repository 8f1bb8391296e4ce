"""Rules compiled for looking up: which rules match a path, and which of them wins.

Precedence: an earlier mapping beats a later one (a model mapping, then the codemod's ledger, then a layer mapping).
Within one mapping two rules that match the same path are refused, except that a rule wins over a `**` pattern that
contains it (`params/head/kernel` and `params/head/**` both win over `params/**`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

from migrate.core.declare import ModelMapping, Rule
from migrate.core.paths import Captures, Key, Pattern, Segment, pattern, show
from migrate.core.report import Finding


@dataclasses.dataclass(frozen=True)
class Compiled:
  """A rule with parsed patterns.

  Attributes:
    level: 0 for the first mapping.
    number: its place in the mapping, for messages.
    shared: captures that both sides have.
    gathered: captures of the source alone: their leaves come together, in numeric order.
    spread: captures of the target alone: one target for each number from 0.
  """

  level: int
  number: int
  rule: Rule
  source: tuple[Pattern, ...]
  target: tuple[Pattern, ...]
  shared: frozenset[str]
  gathered: frozenset[str]
  spread: frozenset[str]

  @property
  def collection(self) -> str:
    """The collection of its source, empty where that is open."""
    prefix = self.source[0].literal_prefix if self.source else ()
    return prefix[0] if prefix else ""

  def __str__(self) -> str:
    return self._text

  @functools.cached_property
  def _text(self) -> str:
    left, right = " + ".join(p.text for p in self.source), " + ".join(p.text for p in self.target)
    return f"rule {self.number} ({self.rule.kind} {' -> '.join(t for t in (left, right) if t)})"


def compile_rules(mappings: Sequence[ModelMapping]) -> tuple[list[Compiled], list[Finding]]:
  """Every rule of the mappings, and what is wrong with them by form."""
  out: list[Compiled] = []
  findings: list[Finding] = []
  for level, mapping in enumerate(mappings):
    for number, rule in enumerate(mapping.rules, 1):
      one = _compile(level, number, rule)
      problem = _problem(one)
      if problem:
        findings.append(Finding(f"{mapping.name or 'the mapping'}, {one}", *problem, rule="L2N201"))
      else:
        out.append(one)
  return out, findings


def _compile(level: int, number: int, rule: Rule) -> Compiled:
  source, target = tuple(map(pattern, rule.source)), tuple(map(pattern, rule.target))
  left = frozenset().union(*(p.names for p in source))
  right = frozenset().union(*(p.names for p in target))
  return Compiled(level, number, rule, source, target, left & right, left - right, right - left)


def _problem(one: Compiled) -> tuple[str, str, str] | None:
  rule = one.rule
  if rule.kind not in ("move", "drop", "fresh", "tie", "copy"):
    return f"kind {rule.kind!r}", "move, drop, fresh, tie or copy", "correct the rule"
  if (rule.kind != "fresh" and not one.source) or (rule.kind != "drop" and not one.target):
    return "a side is missing", "a source and a target", "give both paths"
  if rule.kind in ("drop", "fresh"):
    return None if rule.because else ("no reason", "because=...", "say why the leaves may go")
  for side, patterns in (("source", one.source), ("target", one.target)):
    if len({p.names for p in patterns}) > 1:
      return (
        f"the paths of the {side} have different captures",
        "the same captures in each",
        "write the same {name}s in all of them",
      )
  odd = [n for n in (*one.gathered, *one.spread) if n.startswith("*")]
  if odd:
    sign = odd[0].rstrip("0123456789")
    return (
      f"{sign} is on one side only",
      f"as many {sign} on both sides",
      "use a {name} where leaves are to be gathered or spread",
    )
  if len(one.gathered) + len(one.spread) > 1:
    return (
      f"captures on one side only: {', '.join(sorted(one.gathered | one.spread))}",
      "at most one",
      "stack one axis a rule",
    )
  if one.gathered and (not rule.ops or rule.kind != "move"):
    name = min(one.gathered)
    return (
      f"{{{name}}} is not in the target",
      "the same captures on both sides",
      f"add {{{name}}} to the target, or Stack() to join its leaves",
    )
  if one.spread and (not rule.ops or rule.kind == "tie"):
    name = min(one.spread)
    return (
      f"{{{name}}} is not in the source",
      "the same captures on both sides",
      f"add {{{name}}} to the source, or Unstack() to take it apart",
    )
  return None


@dataclasses.dataclass(frozen=True)
class Hit:
  """A rule that matches a path through its pattern number `place`."""

  rule: Compiled
  place: int
  pattern: Pattern
  captures: Captures


class _Node:
  """One step of the index: literal children by name, pattern children by how they begin, remembered by segment."""

  __slots__ = ("ends", "literal", "memo", "open", "patterns", "rest")

  def __init__(self) -> None:
    self.literal: dict[str, _Node] = {}
    self.open: dict[str, list[tuple[Segment, _Node]]] = {}
    self.patterns: dict[tuple[tuple[str, ...], tuple[int | None, ...]], _Node] = {}
    self.memo: dict[str, list[_Node]] = {}
    self.ends: list[tuple[Compiled, int, Pattern]] = []
    self.rest: list[tuple[Compiled, int, Pattern]] = []

  def child(self, segment: Segment) -> _Node:
    if segment.literal:
      return self.literal.setdefault(segment.texts[0], _Node())
    form = (segment.texts, segment.widths)
    if form not in self.patterns:
      self.patterns[form] = _Node()
      numbered = Segment(segment.texts, tuple(str(i) for i in range(len(segment.names))), segment.widths)
      self.open.setdefault(segment.texts[0], []).append((numbered, self.patterns[form]))
    return self.patterns[form]

  def step(self, text: str) -> list[_Node]:
    found = self.memo.get(text)
    if found is None:
      begun = (one for n in range(len(text) + 1) for one in self.open.get(text[:n], ())) if self.open else ()
      found = [node for segment, node in begun if segment.match(text) is not None]
      if text in self.literal:
        found.append(self.literal[text])
      self.memo[text] = found
    return found


class Index:
  """Looks rules up by path, in time that hardly grows with their number.

  Attributes:
    matched: (level, number) of the rules that `winner` has seen match, even where another won.
  """

  def __init__(self, rules: Sequence[Compiled], side: str):
    self._root = _Node()
    self.matched: set[tuple[int, int]] = set()
    for rule in rules:
      for place, one in enumerate(rule.source if side == "source" else rule.target):
        node = self._root
        for segment in one.head:
          node = node.child(segment)
        (node.ends if one.tail is None else node.rest).append((rule, place, one))

  def hits(self, path: Key) -> list[Hit]:
    """Every rule that matches."""
    candidates: list[tuple[Compiled, int, Pattern]] = []
    nodes = [self._root]
    for text in path:
      deeper: list[_Node] = []
      for node in nodes:
        candidates += node.rest
        deeper += node.step(text)
      nodes = deeper
      if not nodes:
        break
    for node in nodes:
      candidates += node.rest
      candidates += node.ends
    found = ((rule, place, one, one.match(path)) for rule, place, one in candidates)
    return [Hit(rule, place, one, captures) for rule, place, one, captures in found if captures is not None]

  def winner(self, path: Key, collection: str = "") -> tuple[Hit | None, Finding | None]:
    """The rule that decides on a path, or what is wrong.

    Args:
      path: `key(path)`.
      collection: of rules that tie, those that read this collection are meant (`norm/mean` may come from two).
    """
    hits = self.hits(path)
    self.matched.update((h.rule.level, h.rule.number) for h in hits)
    if len(hits) > 1:
      hits = [h for h in hits if h.rule.collection == collection] or hits if collection else hits
      level = min(h.rule.level for h in hits)
      hits = [h for h in hits if h.rule.level == level]
      hits = [h for h in hits if not any(_beats(other, h) for other in hits)]
    if len(hits) <= 1:
      return (hits[0] if hits else None), None
    names = " and ".join(str(h.rule) for h in hits[:3])
    return None, Finding(
      show(path),
      f"{names} both match",
      "one rule",
      "remove one, or make one a ** pattern that contains the other",
      rule="L2N202",
    )


def _beats(one: Hit, other: Hit) -> bool:
  if other.pattern.tail is None or one.pattern == other.pattern:
    return False
  return other.pattern.contains(one.pattern) and not (
    one.pattern.tail is not None and one.pattern.contains(other.pattern)
  )
