"""Comments above statements of a compact method that only construction needs: they go where the statements go."""

from __future__ import annotations

import ast
import dataclasses
from typing import TYPE_CHECKING

from migrate.codemod.scope import Block, Stmt

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


@dataclasses.dataclass
class Paragraph:
  """Statements up to a blank line or the next comment, and the comments above the first one.

  Attributes:
    comments: lines, without indentation.
    made: what `__init__` has of the statements.
    trailing: comments at the ends of statements, with what `__init__` has of these.
    moved: whether the comments have left the method.
  """

  comments: list[str]
  made: list[Stmt | Block] = dataclasses.field(default_factory=list)
  trailing: list[tuple[Stmt, str]] = dataclasses.field(default_factory=list)
  moved: bool = False


def note_statement(unit: Unit, first: bool, statement: ast.stmt, lead: str, made: list[Stmt | Block]) -> None:
  """Remembers what `__init__` has of a statement, with the paragraph that it stands in."""
  comments = unit.source.comments_above(statement)
  if comments:
    unit.paragraphs.append(Paragraph(comments))
  elif first or "\n" in lead:
    unit.paragraphs.append(Paragraph([]))
  if unit.paragraphs:
    unit.paragraphs[-1].made += made
    remark = unit.source.trailing_comment(statement)
    if remark and len(made) == 1 and isinstance(made[0], Stmt) and not made[0].keep:
      unit.paragraphs[-1].trailing.append((made[0], remark))


def without_moved(unit: Unit, body: str, since: int) -> str:
  """The body of a method without comments whose statements are all gone.

  Args:
    unit: the class; its paragraphs from `since` on are those of the method.
    body: the text that the method has now.
    since: number of paragraphs before the method.
  """
  for paragraph in unit.paragraphs[since:]:
    for statement, remark in paragraph.trailing:
      statement.trailing = statement.trailing or (remark if remark not in body else "")
    comments = paragraph.comments
    alike = [p for p in unit.paragraphs[since:] if p.comments == comments]
    if not comments or not paragraph.made or len(alike) > 1:
      continue
    lines = body.split("\n")
    bare = [line.strip() for line in lines]
    count = len(comments)
    found = [i for i in range(len(lines) - count + 1) if bare[i : i + count] == comments]
    after = found[0] + count if len(found) == 1 else 0
    if not after or (after < len(lines) and bare[after] not in ("", "pass")):
      continue  # something of the paragraph is left
    before = found[0] - 1
    while after < len(lines) - 1 and not bare[after] and (before < 0 or not bare[before]):
      after += 1
    body = "\n".join(lines[: found[0]] + lines[after:])
    paragraph.moved = True
  return body


def place_comments(unit: Unit, block: list[Stmt | Block]) -> None:
  """Puts the comments that left a method above the first of their statements that `__init__` has."""
  items = list(_flat(block))
  for paragraph in unit.paragraphs:
    if paragraph.moved:
      place = next((i for i in items if any(i is m for m in paragraph.made)), None)
      if place is not None:
        place.comments = (*(c for c in paragraph.comments if c not in place.comments), *place.comments)


def _flat(block: list[Stmt | Block]) -> list[Stmt | Block]:
  found: list[Stmt | Block] = []
  for item in block:
    found.append(item)
    if isinstance(item, Block):
      for _, body in item.parts:
        found += _flat(body)
  return found
