"""`match` statements, in a method that is split and in `setup`."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from migrate.codemod.compound import joined
from migrate.codemod.scope import Block, Local, Stmt
from migrate.codemod.untaken import seen_only

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class Matches:
  """Handling of `match`, mixed into `Unit`."""

  def _match(self: Unit, node: ast.Match) -> str | None:
    """The statement for the method; `__init__` has it too where it knows the subject and the guards."""
    heads = self.static_heads(node)
    outer, entry, entry_dims = self.block, dict(self.env), dict(self._dims)
    text = match_header(self, node, self.text(node.subject))
    branches: list[tuple[list[Stmt | Block], dict[str, Local], bool]] = []
    whole = ""
    for case in node.cases:
      self.env, self._dims = {n: dataclasses.replace(v) for n, v in entry.items()}, dict(entry_dims)
      self.block = []
      for name in bound_names(case.pattern):
        self.rebinding(name)
        self.env[name] = Local("static" if heads is not None else "dynamic", None)
      text += case_header(self, node, case, self.text)
      self.conditions.append(heads is not None)
      self._conditional(1)
      inline = on_one_line(case)
      body = self._branch(case.body, inline)
      self._conditional(-1)
      self.conditions.pop()
      whole += body if body.strip() != "pass" else ""
      nothing = "pass\n" if inline else f"{self.source.indent(case.body[0])}pass\n"
      text = joined(text, body if body.strip() else nothing)
      inside = [n for s in case.body for n in ast.walk(s) if isinstance(n, ast.expr)]
      ran = not inside or any(map(self.events, inside))  # what `pass` leaves is known without running it
      branches.append((self.block, self.env, ran))
    fallback: list[Stmt | Block] = []
    if not _takes_all(node.cases[-1]):
      branches.append((fallback, {n: dataclasses.replace(v) for n, v in entry.items()}, False))
    self.block = outer
    self.env = self._joined(branches, heads is not None)
    if heads is None:
      self.block += [item for block, _, _ in branches for item in block]
    else:
      subject, cases = heads
      parts: list[Any] = [(lambda h=h: h, block) for h, (block, _, _) in zip(cases, branches, strict=False)]
      if fallback:
        parts.append((lambda: "case _:", fallback))
      self.block.append(Block([(lambda: f"match {subject}:", [Block(parts, exact=True)])]))
    return text if whole.strip() else None

  def static_heads(self: Unit, node: ast.Match) -> tuple[str, list[str]] | None:
    """The subject and the headers of the cases for `__init__`, or None where only a call knows them."""
    subject = self.try_static(node.subject)
    if subject is None or self.array_events(node.subject):
      return None
    cases = []
    for case in node.cases:
      head = f"case {self.source.code(case.pattern)}"
      if case.guard is not None:
        guard = self.try_static(case.guard)
        if guard is None:
          return None
        head += f" if {guard}"
      cases.append(head + ":")
    return subject, cases

  def _joined(self: Unit, branches: list[tuple[list[Stmt | Block], dict[str, Local], bool]], static: bool) -> dict:
    """What names hold after the statement, whichever case it took."""
    first, env, ran = branches[0]
    earlier = [first]
    for block, other, other_ran in branches[1:]:
      if ran and not other_ran:
        other = {**other, **seen_only(env, other)}
      elif other_ran and not ran:
        env = {**env, **seen_only(other, env)}
      before: list[Stmt | Block] = []
      env = self._merge(env, other, before, block, static)
      for one in earlier:
        one += before
      earlier.append(block)
      ran = ran or other_ran
    return env


def bound_names(pattern: ast.pattern) -> list[str]:
  """Names that a pattern binds."""
  found = []
  for node in ast.walk(pattern):
    if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name is not None:
      found.append(node.name)
    if isinstance(node, ast.MatchMapping) and node.rest is not None:
      found.append(node.rest)
  return found


def _takes_all(case: ast.match_case) -> bool:
  return case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None


def match_header(unit: Unit, node: ast.Match, subject: str) -> str:
  """`match x:` and its line, with another subject."""
  source = unit.source
  a, b = source.span(node.subject)
  stop = source.offset(_case_line(unit, node, node.cases[0]), 0)
  return source.between(source.offset(node.lineno, 0), a) + subject + source.between(b, stop)


def case_header(unit: Unit, node: ast.Match, case: ast.match_case, write: Any) -> str:
  """`case pattern if guard:` with what stands above it, up to the end of its line."""
  source, body = unit.source, case.body[0]
  before = node.cases[: node.cases.index(case)]
  start = source.offset((before[-1].body[-1].end_lineno or 0) + 1 if before else _case_line(unit, node, case), 0)
  stop = source.span(body)[0] if on_one_line(case) else source.offset(source.lead(body), 0)
  if case.guard is None:
    return source.between(start, stop)
  a, b = source.span(case.guard)
  return source.between(start, a) + write(case.guard) + source.between(b, stop)


def setup_match(unit: Unit, node: ast.Match, write_body: Callable[[list[ast.stmt]], str]) -> str:
  """The statement of `setup`, for `__init__`."""
  for case in node.cases:
    for name in bound_names(case.pattern):
      unit.env.setdefault(name, Local("static", None))
  text = match_header(unit, node, unit.static(node.subject))
  for case in node.cases:
    body = write_body(case.body)
    inline = on_one_line(case)
    text += case_header(unit, node, case, unit.static)
    text += (body.lstrip() if inline else body) or ("pass\n" if inline else f"{unit.source.indent(case.body[0])}pass\n")
  return text


def on_one_line(case: ast.match_case) -> bool:
  """Whether a case's body stands behind its colon."""
  return case.body[0].lineno == (case.guard or case.pattern).end_lineno


def _case_line(unit: Unit, node: ast.Match, case: ast.match_case) -> int:
  """The line of the first case, comments above it included."""
  line = case.pattern.lineno
  while line - 1 > (node.subject.end_lineno or node.lineno) and unit.source.line(line - 1).strip().startswith("#"):
    line -= 1
  return line
