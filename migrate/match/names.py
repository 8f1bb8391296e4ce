"""What names say: words of a path, with the field's usual synonyms, and the numbers of a series."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Collection, Sequence

import numpy as np

from migrate.core.paths import Key

# words that mean the same in names of modules and leaves; the first of each row stands for all
_SYNONYMS = """
  query q wq qproj | key k wk kproj | value v wv vproj | qkv | out o output outproj oproj wo proj projection
  attention attn mha att selfattention selfattn | cross crossattn crossattention encdec | self
  mlp ffn ff feedforward | dense linear fc lin fully | conv convolution conv2d conv1d convs
  norm ln layernorm rmsnorm groupnorm layernormalization batchnorm bn gn | embedding embed embedder emb embeddings wte
  token tok tokens word vocab | position pos positional posembed posembedding wpe positions
  encoder enc | decoder dec | block blocks blk layer layers encoderblock decoderblock transformerblock resnetblock
  down downsample | up upsample | head classifier logits cls_head lmhead prediction pred
  kernel weight w weights wi | bias b beta offset | scale gamma g | mean runningmean mu | var variance runningvar
  gate gated | input in inp | hidden h | stem | backbone trunk body | first | second | pre before | post after final last
  shortcut skip residual | pool pooler pooling | left l | right r
"""
_MEANS = {
  word: row.split()[0] for row in _SYNONYMS.replace("\n", "|").split("|") if row.split() for word in row.split()
}
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_NUMBER = re.compile(r"^(.*?)(\d+)$")


@functools.cache
def words(segment: str) -> tuple[str, ...]:
  """The words of one name, in their usual form: `SelfAttention_0` is (attention), `q_proj` (query)."""
  joined = re.sub(r"[^a-z]", "", segment.lower())
  if joined in _MEANS:
    return (_MEANS[joined],)
  found = [m.group().lower() for m in _WORD.finditer(segment)]
  known = [_MEANS.get(w, w) for w in found]
  # in `q_proj` and `attention_output` the second word only says what kind of thing it is
  return tuple(
    dict.fromkeys(w for w in known if not (w == "out" and len(known) > 1 and found[-1] in ("proj", "projection")))
  )


@functools.cache
def bag(path: Key) -> frozenset[str]:
  """All words of a path."""
  return frozenset(w for segment in path for w in words(segment))


@functools.cache
def likeness(one: Key, other: Key, extra: frozenset[str] = frozenset()) -> float:
  """How many words the two paths share, the last names counting most; `extra` are words of classes, worth less."""
  mine, theirs = bag(one), bag(other)
  score = float(sum(1 for w in mine if w in theirs))
  score += sum(0.8 for w in mine - theirs if len(w) > 2 and any(_short(w, o) for o in theirs - mine))
  score += sum(0.5 for w in mine - theirs if w in extra)
  if one and other and plain(one[-1]) == plain(other[-1]):
    score += 1.0
  return score


def _short(a: str, b: str) -> bool:
  return len(b) > 2 and (a.startswith(b) or b.startswith(a))


def plain(segment: str) -> str:
  """A name without its number, case and underscores."""
  return re.sub(r"[^a-z]", "", segment.lower())


def number(segment: str) -> tuple[str, str] | None:
  """(stem, digits) of a name that ends in a number."""
  found = _NUMBER.match(segment)
  return (found[1], found[2]) if found else None


@functools.cache
def without_numbers(path: Key) -> Key:
  """The path with `#` for the number at the end of each name."""
  return tuple(f"{n[0]}#" if (n := number(s)) else s for s in path)


@dataclasses.dataclass(frozen=True)
class Series:
  """One number of a path: its place among its siblings.

  Attributes:
    at: which segment.
    stem: what stands before the number, for a bare number the name above it.
    values: the numbers of all siblings, sorted.
    rank: the place of this one among them.
    whole: whether each sibling is a module of several layers.
    declared: the place of this one in the order of construction, where that is known.
  """

  at: int
  stem: str
  values: tuple[int, ...]
  rank: int
  whole: bool
  declared: int | None = None


class Numbers:
  """The series that the paths of one side form."""

  def __init__(self, paths: Collection[Key], order: Sequence[Key] | None = None):
    self._siblings: dict[tuple[Key, str], dict[int, set[Key]]] = {}
    self._first: dict[Key, int] = {}
    for i, path in enumerate(order or ()):
      for end in range(1, len(path) + 1):
        self._first.setdefault(path[:end], i)
    for path in paths:
      for at, segment in enumerate(path):
        if found := number(segment):
          members = self._siblings.setdefault((path[:at], found[0]), {})
          members.setdefault(int(found[1]), set()).add(path[at + 1 :])
    self._known: dict[Key, tuple[Series, ...]] = {}
    self._sides: dict[tuple[Key, str, int], tuple[tuple[int, ...], bool, dict[int, int] | None]] = {}

  def of(self, path: Key) -> tuple[Series, ...]:
    """The series of a path, those of one member left out."""
    if path not in self._known:
      out = []
      for at, segment in enumerate(path):
        found = number(segment)
        if not found or len(self._siblings.get((path[:at], found[0]), ())) < 2:
          continue
        values, whole, declared = self._side(path[:at], found[0], len(found[1]))
        value = int(found[1])
        stem = found[0] or (path[at - 1] if at else "")
        place = None if declared is None else declared[value]
        out.append(Series(at, stem, values, values.index(value), whole, place))
      self._known[path] = tuple(out)
    return self._known[path]

  def _side(self, parent: Key, stem: str, digits: int) -> tuple[tuple[int, ...], bool, dict[int, int] | None]:
    """Of all siblings the numbers, whether they are whole modules, and their places in the order of construction."""
    known = self._sides.get((parent, stem, digits))
    if known is None:
      members = self._siblings[parent, stem]
      values = tuple(sorted(members))
      places = {v: self._first.get((*parent, self._segment(parent, stem, v, digits))) for v in values}
      declared = None
      if None not in places.values():
        declared = {v: n for n, v in enumerate(sorted(values, key=lambda v: places[v]))}  # type: ignore[arg-type, return-value]
      whole = any(len({rest[:-1] for rest in m}) > 1 for m in members.values())
      known = self._sides[parent, stem, digits] = values, whole, declared
    return known

  def _segment(self, parent: Key, stem: str, value: int, digits: int) -> str:
    plain_name = f"{stem}{value}"
    return plain_name if (*parent, plain_name) in self._first else f"{stem}{value:0{digits}}"


def same_numbers(
  rows: Sequence[Sequence[Series]], columns: Sequence[Sequence[Series]]
) -> tuple[np.ndarray, np.ndarray]:
  """How far the numbers of each two paths agree: (what can be relied on, what is order alone)."""
  shape = (len(rows), len(columns))
  strong, weak = np.zeros(shape), np.zeros(shape)
  for some in _alike(rows):
    for others in _alike(columns):
      at = 0
      for n, mine in enumerate(rows[some[0]]):
        like = columns[others[0]]
        match = next((j for j in range(at, len(like)) if _parallel(mine, like[j])), None)
        if match is None:
          continue
        at = match + 1
        ranks = [
          np.array([side[i][k].rank for i in which]) for side, which, k in ((rows, some, n), (columns, others, match))
        ]
        same = ranks[0][:, None] == ranks[1][None, :]
        sure = np.array([_reliable(mine, columns[i][match]) for i in others])
        strong[np.ix_(some, others)] += same & sure
        weak[np.ix_(some, others)] += same & ~sure
  return strong, weak


def _alike(paths: Sequence[Sequence[Series]]) -> list[list[int]]:
  """Places of the paths whose series differ in their ranks alone."""
  out: dict[tuple, list[int]] = {}
  for i, path in enumerate(paths):
    out.setdefault(tuple((s.stem, s.values, s.whole) for s in path), []).append(i)
  return list(out.values())


def _parallel(mine: Series, theirs: Series) -> bool:
  return len(mine.values) == len(theirs.values) and mine.whole == theirs.whole


def _reliable(mine: Series, theirs: Series) -> bool:
  if theirs.declared is not None and theirs.declared != theirs.rank and _automatic(mine.stem):
    return False  # built in another order than its numbers say, and Linen numbers by construction
  same_base = mine.values == theirs.values
  if mine.whole and theirs.whole:
    return same_base or len(mine.values) > 2
  return (
    same_base
    and bool(set(words(mine.stem)) & set(words(theirs.stem)))
    and (not _automatic(mine.stem) or plain(mine.stem) == plain(theirs.stem))
  )


def _automatic(stem: str) -> bool:
  """Whether Linen chose the name: `Dense_`."""
  return stem[:1].isupper() and stem.endswith("_")
