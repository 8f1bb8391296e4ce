"""As few rules as say the same: leaf by leaf moves become patterns, each step checked against the leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from migrate.core.declare import ModelMapping, Rule, move
from migrate.core.entries import Plan
from migrate.core.ops import Op
from migrate.core.paths import Key, Path, escape, key, natural, pattern
from migrate.core.plan import make_plan
from migrate.core.tree import Spec
from migrate.match.bind import Move
from migrate.match.names import number


@dataclasses.dataclass(frozen=True)
class Draft:
  """A rule that is being made: patterns, and the leaves that it moves.

  Attributes:
    sources: patterns, collection first.
    targets: patterns.
    ops: operations.
    leaves: every source leaf, as keys.
    tag: what must not be joined with rules of another tag.
  """

  sources: tuple[Path, ...]
  targets: tuple[Path, ...]
  ops: tuple[Op, ...]
  leaves: frozenset[Key]
  tag: str = ""

  def rule(self) -> Rule:
    """The declaration."""
    return move(list(self.sources), list(self.targets), *self.ops)

  @property
  def idle(self) -> bool:
    """Whether it says what holds without it."""
    return not self.ops and len(self.sources) == 1 and key(self.sources[0][1:]) == key(self.targets[0])


def drafts_of(moves: Iterable[tuple[Move, str]]) -> list[Draft]:
  """One draft a move."""
  out = []
  for one, tag in moves:
    gathered = any(s.count > 1 for s in one.sources)
    spread = any(t.count > 1 for t in one.targets)
    sources = [p for s in one.sources for p in _side(s.members, s.collection, spread=False)]
    targets = [p for t in one.targets for p in _side(t.members, "", spread=True)]
    if gathered and any("{i" not in "".join(map(str, p)) for p in sources):
      sources = [(s.collection, *escape(s.members[n])) for n in range(one.sources[0].count) for s in one.sources]
    leaves = frozenset(key((s.collection, *m)) for s in one.sources for m in s.members)
    del spread
    out.append(Draft(tuple(sources), tuple(targets), one.ops, leaves, tag))
  return out


def _side(members: Sequence[Path], collection: str, *, spread: bool) -> list[Path]:
  """The members as one pattern, where they are numbered 0, 1, 2...; else one by one."""
  head = (collection,) if collection else ()
  if len(members) == 1:
    return [(*head, *escape(members[0]))]
  keys = [key(m) for m in members]
  at = next(i for i in range(len(keys[0])) if len({k[i] for k in keys}) > 1)
  found = [number(k[at]) for k in keys]
  if all(found) and [int(f[1]) for f in found if f] == list(range(len(members))):
    stem, digits = found[0]  # type: ignore[misc]
    form = segment(stem, [f[1] for f in found if f], "i")
    del digits
    return [(*head, *escape(members[0][:at]), form, *escape(members[0][at + 1 :]))]
  return [(*head, *escape(m)) for m in members]


def segment(stem: str, digits: Sequence[str], name: str) -> str:
  """`layer_{i}`, or `layer_{i:02}` where numbers are written with zeros before them."""
  width = min(map(len, digits))
  padded = any(d[0] == "0" and len(d) > 1 for d in digits)
  return stem.replace("{", "{{").replace("}", "}}") + (f"{{{name}:0{width}}}" if padded else f"{{{name}}}")


def compress(drafts: Sequence[Draft], source: dict[Path, Spec], target: dict[Path, Spec]) -> list[Draft]:
  """Fewer drafts with the same plan, those that say what holds anyway left out."""
  leaves = [key(p) for p in source]
  current = _names(list(drafts), leaves, numbers=True)
  current = _tails(current, leaves)
  current = _names(current, leaves, numbers=True)
  current = _names(current, leaves, numbers=False)
  current = _tails(current, leaves)
  current = _names(current, leaves, numbers=True)
  kept = [d for d in current if not d.idle]
  if _same(kept, drafts, source, target):
    return kept
  return [d for d in drafts if not d.idle]


def mapping_of(drafts: Iterable[Draft], more: Iterable[Rule] = (), source: str = "") -> ModelMapping:
  """The rules as a mapping."""
  return ModelMapping((*(d.rule() for d in drafts), *more), source=source)


def _same(some: Sequence[Draft], every: Sequence[Draft], source: dict, target: dict) -> bool:
  one, other = (make_plan(source, target, mapping_of(d), strict=False) for d in (some, every))
  return _fates(one) == _fates(other) and len(one.findings) <= len(other.findings)


def _fates(plan: Plan) -> set[tuple]:
  return {(tuple(s.path for s in e.sources), tuple(t.path for t in e.targets), e.ops) for e in plan.entries}


def _covers(sources: Sequence[Path], wanted: frozenset[Key], leaves: Sequence[Key]) -> bool:
  """Whether the patterns match exactly these leaves."""
  patterns = [pattern(p) for p in sources]
  return {k for k in leaves if any(p.match(k) is not None for p in patterns)} == wanted


def _names(drafts: list[Draft], leaves: Sequence[Key], *, numbers: bool) -> list[Draft]:
  """Rules that differ in one name only, which is the same on both sides, become one with a capture."""
  for letter in "ijkmn" if numbers else ("name", "part"):
    groups: dict[tuple, list[tuple[Draft, str]]] = {}
    for draft in drafts:
      for form, value in _openings(draft, letter, numbers):
        groups.setdefault((form, draft.ops, draft.tag), []).append((draft, value))
    gone: set[int] = set()
    made: list[Draft] = []
    for (form, ops, tag), members in sorted(groups.items(), key=lambda kv: -len(kv[1])):
      rest = [(d, v) for d, v in members if id(d) not in gone]
      if len(rest) < 2 or len({v for _, v in rest}) != len(rest):
        continue
      everything = frozenset().union(*(d.leaves for d, _ in rest))
      sources, targets = _filled(form, [v for _, v in rest], letter, numbers)
      if _covers(sources, everything, leaves):
        made.append(Draft(sources, targets, ops, everything, tag))
        gone |= {id(d) for d, _ in rest}
    if not made:
      break
    drafts = [d for d in drafts if id(d) not in gone] + made
  return drafts


_MARK = "\0"


def _openings(draft: Draft, letter: str, numbers: bool) -> Iterable[tuple[tuple, str]]:
  """Every way to leave one name of the rule open: the rule with a mark in its place, and what stood there."""
  texts = "".join(str(s) for p in (*draft.sources, *draft.targets) for s in p)
  if f"{{{letter}}}" in texts or f"{{{letter}:" in texts:
    return
  seen = set()
  first = draft.sources[0]
  for at in range(1, len(first)):
    name = str(first[at])
    if "{" in name or "*" in name:
      continue
    found = number(name)
    value = found[1] if numbers and found else name if not numbers else ""
    if not value or (at, value) in seen:
      continue
    seen.add((at, value))
    open_source = [_open(p, at, value, numbers) for p in draft.sources]
    if any(p is None for p in open_source):
      continue
    places = [{b for b, s in enumerate(p) if _opens(str(s), value, numbers)} for p in draft.targets]
    for b in set.intersection(*places) if places else ():
      form = (tuple(open_source), tuple(_open(p, b, value, numbers) for p in draft.targets))
      yield form, value


def _opens(name: str, value: str, numbers: bool) -> bool:
  if "{" in name or "*" in name:
    return False
  if numbers:
    found = number(name)
    return found is not None and int(found[1]) == int(value)
  return name == value


def _open(path: Path, at: int, value: str, numbers: bool) -> Path | None:
  if at >= len(path) or not _opens(str(path[at]), value, numbers):
    return None
  found = number(str(path[at]))
  text = (found[0] if numbers and found else "") + _MARK
  return (*path[:at], text, *path[at + 1 :])


def _filled(form: tuple, values: list[str], letter: str, numbers: bool) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
  sources, targets = form
  widths = [v for v in values if v[0] == "0" and len(v) > 1] and numbers

  def fill(path: Path, source: bool) -> Path:
    mark = segment("", values, letter) if source and widths else f"{{{letter}}}"
    return tuple(str(s).replace(_MARK, mark) if isinstance(s, str) else s for s in path)

  return tuple(fill(p, True) for p in sources), tuple(fill(p, False) for p in targets)


def _tails(drafts: list[Draft], leaves: Sequence[Key]) -> list[Draft]:
  """Rules below one module, all with the same names on both sides, become `module/**`."""
  done = False
  while not done:
    done = True
    groups: dict[tuple, list[Draft]] = {}
    for draft in drafts:
      for form in _heads(draft):
        groups.setdefault((form, draft.ops, draft.tag), []).append(draft)
    # the highest modules first, and of these what joins most
    order = sorted(groups.items(), key=lambda kv: (len(kv[0][0][0][0]), -len(kv[1])))
    for (form, ops, tag), members in order:
      sources, targets = (tuple((*p, "**") for p in side) for side in form)
      everything = frozenset().union(*(d.leaves for d in members))
      if len(members) == 1 and len(members[0].leaves) == 1 and not _worth(members[0], sources):
        continue
      if members[0].sources == sources and len(members) == 1:
        continue
      if _covers(sources, everything, leaves):
        gone = {id(d) for d in members}
        drafts = [d for d in drafts if id(d) not in gone] + [Draft(sources, targets, ops, everything, tag)]
        done = False
        break
  return sorted(drafts, key=lambda d: [natural(str(s)) for s in d.sources[0]])


def _worth(draft: Draft, sources: tuple[Path, ...]) -> bool:
  """A leaf by itself keeps its name in the rule."""
  del draft, sources
  return False


def _heads(draft: Draft) -> Iterable[tuple]:
  """The modules above the rule whose rest is the same on both sides: ((source modules), (target modules))."""
  paths = (*draft.sources, *draft.targets)
  for size in range(1, min(len(p) for p in paths)):
    tails = {key(p[len(p) - size :]) for p in paths}
    if len(tails) > 1:
      return
    if any(len(p) - size < 1 for p in draft.sources):
      return
    yield tuple(tuple(p[: len(p) - size]) for p in draft.sources), tuple(p[: len(p) - size] for p in draft.targets)
