"""Conditions that have one answer in every call, because only Linen's initialization gave another."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.scopes import bound_answer

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_ANSWERS = {"True": True, "not False": True, "False": False, "not True": False}


def settled_choice(unit: Unit, node: ast.IfExp) -> ast.expr | None:
  """The branch of `a if not self.is_initializing() else b` that a call takes; None where the question stays."""
  test = unit.text(node.test)
  answer = _ANSWERS.get(test)
  if answer is None or test == unit.source.code(node.test):
    return None
  return node.body if answer else node.orelse


def settled_answer(unit: Unit, node: ast.AST) -> str | None:
  """Questions about the scope, and `and` and `or` without what they answer; None for another expression."""
  if not isinstance(node, ast.BoolOp):
    return bound_answer(node)
  idle = "True" if isinstance(node.op, ast.And) else "False"
  answers = [bound_answer(v) for v in node.values]
  if idle not in answers:
    return None
  word = " and " if isinstance(node.op, ast.And) else " or "
  return word.join(unit.text(v) for v, answer in zip(node.values, answers, strict=True) if answer != idle) or idle


def settled_branch(unit: Unit, node: ast.If, test: str, body: str, tail: str) -> str | None:
  """What stands in place of the condition; None where it stays.

  Args:
    unit: the class being rewritten.
    node: the condition.
    test: its test as the method has it now.
    body: the lines under it.
    tail: the lines from its `else` on.
  """
  answer = _ANSWERS.get(test)
  code = unit.source.code(node)
  if answer is None or test == unit.source.code(node.test) or code.startswith("elif"):
    return None
  if answer:
    return _step_back(body, unit.source.indent(node.body[0]), unit.source.indent(node))
  if not tail.strip():
    return ""
  before, found, rest = tail.partition("else:\n")
  if not found or before.strip():
    return None
  return _step_back(rest, unit.source.indent(node.orelse[0]), unit.source.indent(node))


def _step_back(text: str, inner: str, outer: str) -> str:
  """Lines of a block, indented as what stood around it."""
  return "".join(outer + line.removeprefix(inner) if line.startswith(inner) else line for line in text.splitlines(True))


def negated(test: str) -> str:
  """The opposite of a test, as text."""
  return f"not {test}" if is_plain(test) and " and " not in test else f"not ({test})"


def is_plain(text: str) -> bool:
  """Whether a text needs no parentheses among others."""
  return " or " not in text and " if " not in text and "lambda" not in text
