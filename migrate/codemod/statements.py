"""Statements of a method that is split: what `__init__` gets of each, and what stays."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from flax import linen as nn

from migrate.codemod.carries import only_for_carry
from migrate.codemod.loop_exits import loop_exit
from migrate.codemod.none_states import note_state
from migrate.codemod.paragraphs import note_statement
from migrate.codemod.project import has_array
from migrate.codemod.scope import Block, Local, Stmt
from migrate.codemod.sizes_pool import TOKEN, closed

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


_OPENING = re.compile(r"(?:[(\s\\]|#[^\n]*\n)*$")  # parentheses, space and comments before a value


class Statements:
  """Statement handling, mixed into `Unit`."""

  def body(self: Unit, statements: list[ast.stmt]) -> str:
    """The statements as the method has them now; what `__init__` needs goes to `self.block`."""
    out: list[str] = []
    for i, statement in enumerate(statements):
      lead = "".join(self.source.lines[self.source.lead(statement) - 1 : self.source.first_line(statement) - 1])
      if i == 0:
        lead = lead.lstrip("\n") if not lead.strip() else lead
      if i and statement.lineno == statements[i - 1].end_lineno:
        lead = ""  # `a = f(x); b = g(a)`
      self.pending_comments = self.source.comments_above(statement)
      before, known = len(self.todo), len(self.block)
      text = self.statement(statement)
      note_statement(self, i == 0, statement, lead, self.block[known:])
      if (only_for_carry(self, statement) and lead.strip()) or (
        text is None and not self._comments_moved(statement, self.block[known:])
      ):
        out.append(lead)
      if text is None:
        continue
      own = list(dict.fromkeys(self.todo[before:]))
      del self.todo[before:]
      if own:
        text = f"{self.source.indent(statement)}# TODO(linen2nnx): left as it was: {'; '.join(own)}\n" + text
      taken = self.pending_comments is None
      if taken and lead.strip() and text is not None and self.moved:
        lead = "\n" if lead.startswith("\n") else ""
      self.moved = False
      out.append(lead + text)
    return "".join(out)

  def _comments_moved(self: Unit, statement: ast.stmt, made: list[Stmt | Block]) -> bool:
    """Takes the comments above a statement along where `__init__` has what came of it; False where they stay."""
    comments = self.source.comments_above(statement)
    place = next((s for s in made if isinstance(s, Stmt) and s.keep), None)
    if place is not None and "\n" not in self.source.code(statement):
      place.trailing = place.trailing or self.source.trailing_comment(statement)
    if not comments or place is None:
      return not comments
    place.comments = (*(c for c in comments if c not in place.comments), *place.comments)
    return True

  def take_comments(self: Unit) -> tuple[str, ...]:
    """Comments above the statement, if it moves to `__init__` altogether."""
    return ()

  def own_lines(self: Unit, statement: ast.stmt, text: str) -> str:
    """A simple statement with the indentation before it and what follows it on its last line."""
    end = self.source.offset(statement.end_lineno or 0, statement.end_col_offset or 0)
    line = self.source.line(statement.end_lineno or 0)
    stop = self.source.offset(statement.end_lineno or 0, 0) + len(line.encode())
    rest = self.source.between(end, stop)
    if rest.lstrip().startswith(";"):  # what follows on the line gets a line of its own
      rest = "\n"
    return self.source.indent(statement) + text + (rest if rest.endswith("\n") else rest + "\n")

  def around(self: Unit, statement: ast.stmt, value: ast.AST) -> tuple[str, str]:
    """The parentheses that stand around a statement's value."""
    start, end = self.source.span(value)
    stop = self.source.span(statement)[1]
    before = self.source.between(self.source.span(statement)[0], start)
    found = _OPENING.search(before)
    opening = found.group(0) if found is not None else ""
    return (opening.lstrip(" ") if "(" in opening else "", self.source.between(end, stop))

  def statement(self: Unit, node: ast.stmt) -> str | None:
    """One statement for the method, or None where nothing of it is left."""
    if isinstance(node, ast.If):
      return self._if(node)
    if isinstance(node, ast.Match):
      return self._match(node)
    if isinstance(node, ast.For | ast.While):
      return self._loop(node)
    if isinstance(node, ast.With):
      header = self._header(node, node.body)
      return self._suite(header, node.body)
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
      return self._nested(node)
    if isinstance(node, ast.Try):
      return self._plain_compound(node)
    if only_for_carry(self, node):
      return None
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
      assigned = self._assign(node)
      note_state(self, node)
      return assigned
    if isinstance(node, ast.Return):
      text = "return"
      if node.value is not None:
        opening, closing = self.around(node, node.value)
        text = f"return {opening}{self.text(node.value)}{closing}"
      if node.value is not None and self.function_depth:
        self.returned = self.dims(node.value)
      elif node.value is not None:
        self.note_output(node.value)
      if self.conditions and all(self.conditions) and not self.loops and not self.function_depth:
        self.block.append(Stmt(lambda: "return", stop=True))
      loop_exit(self, node)
      return self.own_lines(node, text)
    if isinstance(node, ast.Expr):
      return self._expression(node)
    if isinstance(node, ast.Import | ast.ImportFrom):
      if self.takes_linen(node):
        return None
      text = self.source.code(node)
      names = frozenset((a.asname or a.name).partition(".")[0] for a in node.names)
      self.block.append(Stmt(lambda: text, names))
      for name in names:
        self.env[name] = Local("static", None)
      return self.own_lines(node, text)
    if isinstance(node, ast.Assert | ast.Raise | ast.Delete):
      text = self.compose(node, self.text)
      return self.own_lines(node, text)
    loop_exit(self, node)
    return self.own_lines(node, self.compose(node, self.text))

  def _expression(self: Unit, node: ast.Expr) -> str | None:
    value = node.value
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
      return self.own_lines(node, self.source.code(value))
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Name):
      owner, local = value.func.value.id, self.env.get(value.func.value.id)
      if owner in self.pipelines and len(value.args) == 1:
        self.pipeline_grows(owner, value.args[0], value.func.attr)
        return None
      if (
        local is not None
        and value.func.attr in ("append", "extend", "insert", "update", "add")
        and local.kind in ("static", "arrays", "modules")
      ):
        return self._grow(node, value, owner, local)
    if isinstance(value, ast.Call) and self.resolve(value.func) == "flax.linen.share_scope":
      return None  # where Linen keeps the variables is the mapping's business
    text = self.text(value)
    if self.creates(value):
      return None
    return self.own_lines(node, text)

  def _grow(self: Unit, node: ast.Expr, value: ast.Call, owner: str, local: Local) -> str | None:
    """`layers.append(...)`, `skips.append(x)`."""
    items = [self.events(a) for a in value.args]
    if (
      items and all(e and all(isinstance(v.value, nn.Module) for v in e) for e in items) and value.func.attr == "append"  # pyright: ignore
    ):  # type: ignore[attr-defined]
      argument = value.args[0]
      inner = self.in_list(owner, argument)
      attr = local.target or f"self.{self.attribute(owner)}"
      if local.kind != "modules":
        self.env[owner] = Local("modules", local.node, target=attr)
        place = self.loops[0].before if self.loops else self.block
        place.append(Stmt(lambda: f"{attr} = nnx.List([])", keep=True))
        self.dead_lists.add(owner)
      self.block.append(Stmt(lambda: f"{attr}.append({inner})", keep=True))
      return None
    text = self.text(value)
    if any(e and any(has_array(v.value) for v in e) for e in items):
      dims = self.dims(value.args[0])
      last = self.pick(dims[-1]) if dims else None
      if last is not None:
        self.rebinding(owner)  # its last item and its length are others from here on
        self.block.append(Stmt(lambda: f"{owner}.append({last})", frozenset(), mutates=owner))
        local.dims = None
      # without the size of one item, the list of sizes would be that of another list
      self.env[owner] = Local("arrays" if last is not None else "dynamic", local.node)
      return self.own_lines(node, text)
    static = self.try_static(value)
    if static is not None:
      self.block.append(Stmt(lambda: static, frozenset(), mutates=owner))
    else:
      self.env[owner] = Local("dynamic")
    return self.own_lines(node, text)

  # ---- assignments

  # ---- compound statements


def uses_token(text: str) -> bool:
  """Whether a size of a call argument occurs in the text."""
  return bool(TOKEN.search(text)) and not closed(text)
