"""What a name holds at one point of a method that is being split, and the statements of the new `__init__`."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from migrate.codemod.source import loads_in, names_in, opposite

Dims = list[list[str]]  # for every axis, expressions for its size that `__init__` can evaluate, best first


@dataclasses.dataclass
class Local:
  """A local name.

  Attributes:
    kind: `static` (also assigned in `__init__`), `array` (known by its axes), `site` (a layer), `variable`,
      `modules` (a container of layers), `dynamic`.
    node: the expression it was assigned, for its recorded values.
    dims: of an array, from the first axis to the last; None where unknown.
    target: of a site or variable, what to write for it in the call.
    items: of a list of arrays, the axes of what was appended.
  """

  kind: str
  node: ast.AST | None = None
  dims: Dims | None = None
  target: Any = None
  residue: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Building:
  """The methods that `setup` calls to make layers or parameters, and what is known of the one being read.

  Attributes:
    builders: those that were read, a `Builder` of `setup_builders` each.
    names: of all that are or were being read.
    targets: the attributes that get what the method returns.
    outside: the locals of the method -> what each is over fields alone; None where it is nothing of the sort.
  """

  builders: dict[str, Any] = dataclasses.field(default_factory=dict)
  names: set[str] = dataclasses.field(default_factory=set)
  targets: list[ast.expr] = dataclasses.field(default_factory=list)
  outside: dict[str, str | None] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Stmt:
  """A simple statement of `__init__`; `text` is asked for when everything is known."""

  text: Callable[[], str]
  defines: frozenset[str] = frozenset()
  keep: bool = False
  comments: tuple[str, ...] = ()
  trailing: str = ""
  mutates: str = ""
  stop: bool = False
  leaves: str = ""  # `continue` or `break`
  partial: bool = False
  takes_none: Callable[[], set[str]] = set


@dataclasses.dataclass
class Block:
  """A compound statement of `__init__`: headers with their bodies (`if`/`else`, `for`, `with`)."""

  parts: list[tuple[Callable[[], str], list[Stmt | Block]]]
  comments: tuple[str, ...] = ()
  loop: bool = False
  exact: bool = False  # an empty part keeps the ones after it from being reached: the cases of a `match`
  runners: frozenset = frozenset()  # instances that come here, where not all do


def last_axes(dims: Dims, like: Dims | None) -> Dims:
  """The axes of an array that has more or fewer of them where other instances run, in as many as it has before."""
  missing = len(like) - len(dims) if like is not None else 0
  return [*([] for _ in range(missing)), *dims[max(-missing, 0) :]]


@dataclasses.dataclass(frozen=True)
class _Round:
  """What a loop's body has to know: what is read after a round, whether a `continue` or `break` leaves anything out."""

  live: frozenset[str]
  keeps: bool
  follows: bool = False

  def leaves_out(self, item: Stmt) -> bool:
    return self.keeps if item.leaves == "break" else self.follows


def prune(
  block: list[Stmt | Block], live: set[str] | None = None, follows: bool = False, around: _Round | None = None
) -> tuple[list[Stmt | Block], set[str]]:
  """Drops statements whose names nobody reads; returns what is left and the names live at its start."""
  live = set(live or ())
  kept: list[Stmt | Block] = []
  for item in reversed(block):
    if isinstance(item, Stmt):
      if item.stop and (kept or follows):
        live, kept = set(), [item]
        continue
      if item.leaves and around is not None and around.leaves_out(item):
        live, kept = set(around.live), [item]
        continue
      if item.keep or item.defines & live or (item.mutates and item.mutates in live):
        live -= item.defines if not item.mutates else set()
        live |= loads_in(item.text()) | ({item.mutates} if item.mutates else set())
        kept.append(item)
      continue
    parts, entry = [], set(live)
    ends = live | {n for header, _ in item.parts for n in header_names(header())} if item.loop else live
    for header, body in item.parts:
      keeps = item.loop and _keeps(body)
      inside = _Round(frozenset(ends), keeps) if item.loop else around
      if around is not None and not item.loop:
        inside = dataclasses.replace(around, follows=around.follows or bool(kept))
      inner, after = prune(body, ends, follows or bool(kept) or keeps, inside)
      for _ in range(2 if item.loop else 0):  # what a later round reads counts as live at the end of this one
        inner, after = prune(body, ends | after, follows or bool(kept) or keeps, _Round(frozenset(ends | after), keeps))
      parts.append((header, inner))
      entry |= after
    if any(body for _, body in parts):
      kept.append(dataclasses.replace(item, parts=parts))
      live = entry
      for header, _ in item.parts:
        live |= header_names(header())
  return kept[::-1], live


def given_once(block: Sequence[Stmt | Block], name: str) -> bool:
  """Whether one statement of a block alone, and under no condition, gives a name its value."""
  giving = [item for item in block if name in given_in(item)]
  return len(giving) == 1 and isinstance(giving[0], Stmt)


def given_in(item: Stmt | Block) -> set[str]:
  """Names that a statement gives a value, or changes."""
  if isinstance(item, Stmt):
    return {*item.defines, *([item.mutates] if item.mutates else ())}
  return {name for _, body in item.parts for inner in body for name in given_in(inner)}


def without_stops(block: list[Stmt | Block]) -> list[Stmt | Block]:
  """The statements of a method that makes nothing: where it returns early, the methods after it still make theirs."""
  if _keeps(block):
    return block
  found: list[Stmt | Block] = []
  for item in block:
    if isinstance(item, Block):
      found.append(dataclasses.replace(item, parts=[(header, without_stops(body)) for header, body in item.parts]))
    elif not item.stop:
      found.append(item)
  return found


def _keeps(block: list[Stmt | Block]) -> bool:
  return any(item.keep if isinstance(item, Stmt) else any(_keeps(body) for _, body in item.parts) for item in block)


def header_names(header: str) -> set[str]:
  """Names read by `if x:`, `for a in b:`, `else:`..."""
  text = header.strip()
  if text in ("else:", "try:", "finally:"):
    return set()
  if text.startswith("elif "):
    text = text[2:]
  if text.startswith("match "):
    text = f"{text}\n case _:"
  elif text.startswith("case "):
    text = f"match 0:\n {text}"
  try:
    tree = ast.parse(text + " pass")
  except SyntaxError:
    return names_in(text.rstrip(":"))
  return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}


def _is_if(body: list[Stmt | Block]) -> bool:
  """Whether a suite is one `if` with its other ways, so that it can follow as `elif`."""
  return len(body) == 1 and isinstance(body[0], Block) and not body[0].comments and body[0].parts[0][0]()[:3] == "if "


def render(block: list[Stmt | Block], indent: str, step: str) -> list[str]:
  """Lines of source."""
  lines: list[str] = []
  for item in block:
    text = item.text() if isinstance(item, Stmt) else ""
    if text and len(set(text.split(" = "))) == 1 < len(text.split(" = ")):
      continue  # an argument that has the name of the local that it starts
    lines += [f"{indent}{c}" for c in item.comments]
    if isinstance(item, Stmt):
      lines += [indent + t if t.strip() else t for t in text.split("\n")]
      if item.trailing:
        lines[-1] += f"  {item.trailing}"
      continue
    first = True
    for header, body in item.parts:
      if not body and not first and not item.exact:
        continue
      head = header()
      if not body and len(item.parts) > 1 and head.startswith("if ") and item.parts[1][0]() == "else:":
        lines.append(f"{indent}if {opposite(head[3:-1])}:")
        lines += render(item.parts[1][1], indent + step, step)
        break
      inner = render(body, indent, step) if head == "else:" and _is_if(body) else []
      if inner and inner[0].startswith(f"{indent}if "):
        lines += [f"{indent}el{inner[0].removeprefix(indent)}", *inner[1:]]
        continue
      lines += [indent + h for h in head.split("\n")]
      lines += render(body, indent + step, step) or [f"{indent}{step}pass"]
      first = False
  return lines


def measured(env: dict[str, Local]) -> frozenset[str]:
  """Names of arrays whose axes are all known."""
  return frozenset(n for n, v in env.items() if v.kind == "array" and v.dims and all(v.dims))
