"""Reversible path patterns over tuple paths.

A pattern is a tuple of segments; its string form splits on `/`:

  `kernel`        that segment
  `{name}`        any one segment, captured
  `layers_{i}`    a segment with a capture in it; `{i:02}` captures a number written with at least two digits
  `*`             any one segment
  `**`            any number of segments, at most once in a pattern

`{{` and `}}` stand for braces. Integer segments (keys of an `nnx.List`) and strings of the same digits are equal.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

from migrate.core.report import refuse

Path = tuple[str | int, ...]
Key = tuple[str, ...]
Captures = dict[str, str | Key]


def key(path: Sequence[str | int]) -> Key:
  """The path with every segment as a string, for comparison."""
  return tuple([str(s) for s in path])


def show(path: Sequence[str | int]) -> str:
  """The path for people: joined by `/`, segments that hold a `/` quoted."""
  return "/".join(repr(s) if isinstance(s, str) and ("/" in s or not s) else str(s) for s in path)


def natural(text: str) -> tuple[str, int, str]:
  """A sort key that puts 10 after 9, and layer_10 after layer_9."""
  stem = text.rstrip("0123456789")
  return stem, int(text[len(stem) :] or -1), text


@dataclasses.dataclass(frozen=True)
class Segment:
  """One segment: `texts` are the literals around the captures `names` (one more than they are)."""

  texts: tuple[str, ...]
  names: tuple[str, ...] = ()
  widths: tuple[int | None, ...] = ()

  @property
  def literal(self) -> bool:
    """Whether it names one segment only."""
    return not self.names

  def match(self, text: str) -> dict[str, str] | None:
    """The captures, or None."""
    if not self.names:
      return {} if text == self.texts[0] else None
    if len(text) < sum(map(len, self.texts)) or not text.startswith(self.texts[0]) or not text.endswith(self.texts[-1]):
      return None
    found: dict[str, str] = {}
    at, end = len(self.texts[0]), len(text) - len(self.texts[-1])
    for i, (name, width) in enumerate(zip(self.names, self.widths, strict=True)):
      last = i == len(self.names) - 1
      stop = end if last else text.find(self.texts[i + 1], at + 1, end)
      if stop <= at:
        return None
      value = text[at:stop]
      if width is not None:
        if (
          not (value.isascii() and value.isdecimal())
          or len(value) < width
          or (len(value) > max(width, 1) and value[0] == "0")
        ):
          return None
        value = str(int(value))
      if found.setdefault(name, value) != value:
        return None
      at = stop + (0 if last else len(self.texts[i + 1]))
    return found

  def fill(self, captures: Mapping[str, str | Key]) -> str:
    """The segment with its captures in place. Raises KeyError where one is missing."""
    out = self.texts[0]
    for name, width, text in zip(self.names, self.widths, self.texts[1:], strict=True):
      value = str(captures[name])
      out += (value.zfill(width) if width is not None else value) + text
    return out

  def contains(self, other: Segment) -> bool:
    """Whether this matches all that `other` does, judged by form alone."""
    if self.names and self.texts == ("", "") and self.widths == (None,):
      return True
    if other.literal:
      return self.match(other.texts[0]) is not None
    return self.texts == other.texts and self.widths == other.widths


@dataclasses.dataclass(frozen=True)
class Pattern:
  """A parsed pattern: the segments before and after `**`; `tail` is None where there is no `**`."""

  head: tuple[Segment, ...]
  tail: tuple[Segment, ...] | None
  text: str

  @functools.cached_property
  def names(self) -> frozenset[str]:
    """The captures, `*0`, `*1`... for `*` and `**` for the rest."""
    rest = () if self.tail is None else ("**",)
    return frozenset([*rest, *(n for s in (*self.head, *(self.tail or ())) for n in s.names)])

  @functools.cached_property
  def literal_prefix(self) -> Key:
    """The leading segments that are literal."""
    out: list[str] = []
    for segment in self.head:
      if not segment.literal:
        break
      out.append(segment.texts[0])
    return tuple(out)

  def match(self, path: Key) -> Captures | None:
    """The captures of a path (`key(path)`), or None."""
    tail = self.tail or ()
    size = len(self.head) + len(tail)
    if len(path) < size or (self.tail is None and len(path) != size):
      return None
    found: Captures = {}
    for segment, text in [
      *zip(self.head, path, strict=False),
      *(zip(tail, path[len(path) - len(tail) :], strict=True) if tail else ()),
    ]:
      captured = segment.match(text)
      if captured is None:
        return None
      for name, value in captured.items():
        if found.setdefault(name, value) != value:
          return None
    if self.tail is not None:
      found["**"] = path[len(self.head) : len(path) - len(tail)]
    return found

  def fill(self, captures: Mapping[str, str | Key]) -> Key:
    """The path with these captures. Raises KeyError where one is missing."""
    head = [s.fill(captures) for s in self.head]
    if self.tail is None:
      return tuple(head)
    return (*head, *captures["**"], *(s.fill(captures) for s in self.tail))

  def contains(self, other: Pattern) -> bool:
    """Whether this matches all that `other` does, judged by form alone."""
    mine, theirs = (*self.head, *(self.tail or ())), (*other.head, *(other.tail or ()))
    if self.tail is None:
      return (
        other.tail is None
        and len(mine) == len(theirs)
        and all(a.contains(b) for a, b in zip(mine, theirs, strict=True))
      )
    before = other.head if other.tail is not None else theirs
    after = other.tail if other.tail is not None else theirs
    if len(self.head) > len(before) or len(self.tail) > len(after) or len(mine) > len(theirs):
      return False
    pairs = [
      *zip(self.head, before, strict=False),
      *(zip(self.tail, after[len(after) - len(self.tail) :], strict=True) if self.tail else ()),
    ]
    return all(a.contains(b) for a, b in pairs)


@functools.lru_cache(maxsize=65536)
def _segment(text: str, star: int) -> Segment:
  if text == "*":
    return Segment(("", ""), (f"*{star}",), (None,))
  texts, names, widths, buffer, i = [], [], [], "", 0
  while i < len(text):
    c = text[i]
    if text[i : i + 2] in ("{{", "}}"):
      buffer, i = buffer + c, i + 2
    elif c == "{":
      end = text.find("}", i)
      name, colon, width = text[i + 1 : end].partition(":") if end > 0 else ("", "", "")
      if not name.isidentifier() or (colon and not (width.isascii() and width.isdecimal() and int(width) < 20)):
        raise refuse(
          text, "not a path pattern", "{name} or {name:02}", "write braces that are part of a name twice: {{ }}"
        )
      if names and not buffer:
        raise refuse(text, "two captures side by side", "some text between them", "capture them as one")
      texts.append(buffer)
      names.append(name)
      widths.append(int(width) if colon else None)
      buffer, i = "", end + 1
    elif c == "}":
      raise refuse(text, "a closing brace by itself", "{name}", "write braces that are part of a name twice: {{ }}")
    else:
      buffer, i = buffer + c, i + 1
  return Segment((*texts, buffer), tuple(names), tuple(widths))


@functools.lru_cache(maxsize=65536)
def pattern(path: Path | str) -> Pattern:
  """Parses a pattern. Raises MigrateError where it is none."""
  segments = tuple(path.split("/")) if isinstance(path, str) else key(path)
  stars = 0
  parsed: list[Segment] = []
  rest: int | None = None
  for i, text in enumerate(segments):
    if text == "**":
      if rest is not None:
        raise refuse(show(segments), "** twice in one pattern", "at most one", "capture the segments between by {name}")
      rest = i
      continue
    parsed.append(_segment(text, stars))
    stars += text == "*"
  if rest is None:
    return Pattern(tuple(parsed), None, show(segments))
  return Pattern(tuple(parsed[:rest]), tuple(parsed[rest:]), show(segments))


def escape(path: Sequence[str | int]) -> Path:
  """The pattern that matches this very path."""
  return tuple(s if isinstance(s, int) else s.replace("{", "{{").replace("}", "}}") for s in path)
