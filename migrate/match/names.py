"""What names say: words of a path, with the field's usual synonyms, and the numbers of a series."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Collection, Sequence

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

  def of(self, path: Key) -> tuple[Series, ...]:
    """The series of a path, those of one member left out."""
    if path not in self._known:
      out = []
      for at, segment in enumerate(path):
        found = number(segment)
        members = self._siblings.get((path[:at], found[0]), {}) if found else {}
        if not found or len(members) < 2:
          continue
        values = tuple(sorted(members))
        places = [self._first.get((*path[:at], self._segment(path[:at], found[0], v, segment))) for v in values]
        rank = values.index(int(found[1]))
        declared = None
        if all(p is not None for p in places):
          declared = sorted(range(len(values)), key=lambda j: places[j]).index(rank)  # type: ignore[arg-type, return-value]
        stem = found[0] or (path[at - 1] if at else "")
        out.append(
          Series(at, stem, values, rank, any(len({rest[:-1] for rest in m}) > 1 for m in members.values()), declared)
        )
      self._known[path] = tuple(out)
    return self._known[path]

  def _segment(self, parent: Key, stem: str, value: int, like: str) -> str:
    plain_name = f"{stem}{value}"
    if (*parent, plain_name) in self._first:
      return plain_name
    digits = len(like) - len(stem)
    return f"{stem}{value:0{digits}}"


def same_numbers(one: Sequence[Series], other: Sequence[Series]) -> tuple[float, float]:
  """How far the numbers of two paths agree: (what can be relied on, what is order alone)."""
  strong = weak = 0.0
  at = 0
  for mine in one:
    match = next((j for j in range(at, len(other)) if _parallel(mine, other[j])), None)
    if match is None:
      continue
    theirs, at = other[match], match + 1
    if mine.rank != theirs.rank:
      continue
    if _reliable(mine, theirs):
      strong += 1.0
    else:
      weak += 1.0
  return strong, weak


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
