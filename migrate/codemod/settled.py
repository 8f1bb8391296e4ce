"""Conditions that have one answer in every call, because only Linen's initialization gave another."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from migrate.codemod.scope import Local
from migrate.codemod.scopes import bound_answer
from migrate.codemod.source import dotted

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_ANSWERS = {"True": True, "not False": True, "False": False, "not True": False}
_QUESTIONS = ("is_initializing", "is_mutable_collection", "has_variable")
_LOOSE = (ast.BoolOp, ast.IfExp, ast.Lambda, ast.NamedExpr)
SOWN = ("intermediates", "perturbations")  # collections that `init` leaves out


def true_at_first(unit: Unit, test: ast.AST) -> bool | None:
  """The answer to whether the module is being initialised, as at construction; None for another question.

  `0 if self.is_mutable_collection("params") else ScanIn(0)` tells initialisation by its parameters; what `init` makes
  is mutable then too.
  """
  if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
    inner = true_at_first(unit, test.operand)
    return None if inner is None else not inner
  if isinstance(test, ast.Name):
    local = unit.env.get(test.id)
    asked = local.node if local is not None else None
    return true_at_first(unit, asked) if isinstance(asked, ast.Call | ast.UnaryOp) else None
  if not isinstance(test, ast.Call):
    return None
  function = dotted(test.func)
  if function == f"{unit.self_name}.is_mutable_collection" and len(test.args) == 1:
    collection = test.args[0].value if isinstance(test.args[0], ast.Constant) else None
    return True if isinstance(collection, str) and collection not in SOWN else None
  if unit.first_value and function == f"{unit.self_name}.has_variable":
    return False
  if unit.first_value and function == f"{unit.self_name}.has_rng":
    return True
  return True if function == f"{unit.self_name}.is_initializing" else None


def makes_first_values(unit: Unit, function: ast.FunctionDef | ast.Lambda) -> bool:
  """Whether a function of a method only makes the first values of variables: it runs at construction alone."""
  name = function.name if isinstance(function, ast.FunctionDef) else _assigned_to(unit, function)
  method = next((n for n in unit.source.enclosing(function) if isinstance(n, ast.FunctionDef)), None)
  if method is None or not name:
    return False
  loads = [n for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
  calls = [unit.source.parents.get(n) for n in loads]
  makers = {f"{unit.self_name}.variable", f"{unit.self_name}.param"}
  return bool(calls) and all(
    isinstance(c, ast.Call) and c.func is not n and dotted(c.func) in makers for c, n in zip(calls, loads, strict=True)
  )


def _assigned_to(unit: Unit, function: ast.Lambda) -> str:
  above = unit.source.parents.get(function)
  target = above.targets[0] if isinstance(above, ast.Assign) and len(above.targets) == 1 else None
  return target.id if isinstance(target, ast.Name) else ""


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
    return _whether_filled(unit, node) or bound_answer(node)
  idle = isinstance(node.op, ast.And)
  answers = [_answer(unit, v) for v in node.values]
  if (not idle) in answers and not any(
    isinstance(n, ast.Call) for v in node.values[: answers.index(not idle)] for n in ast.walk(v)
  ):
    return str(not idle)
  if idle not in answers:
    return None
  left = [v for v, answer in zip(node.values, answers, strict=True) if answer is not idle]
  word = " and " if idle else " or "
  return word.join(_operand(unit, v) if len(left) > 1 else unit.text(v) for v in left) or str(idle)


def answered_at_first(unit: Unit, node: ast.AST, write: Callable[[ast.AST], str]) -> str | None:
  """`and` and `or` at construction, without the questions whose answer there changes nothing; None for the rest.

  Args:
    unit: the class.
    node: the expression.
    write: renders an operand for `__init__`.
  """
  if not isinstance(node, ast.BoolOp):
    return bound_answer(node)
  idle = isinstance(node.op, ast.And)
  left = [v for v in node.values if true_at_first(unit, v) is not idle]
  if len(left) == len(node.values):
    return None
  texts = [f"({write(v)})" if len(left) > 1 and isinstance(v, _LOOSE) else write(v) for v in left]
  return (" and " if idle else " or ").join(texts) or str(idle)


def _whether_filled(unit: Unit, node: ast.AST) -> str | None:
  """The answer of calls to `len(self.variables) == 0`, which tells initialisation by the variables that are there."""
  read = [n for n in ast.walk(node) if isinstance(n, ast.Attribute) and dotted(n) == f"{unit.self_name}.variables"]
  if not isinstance(node, ast.Compare) or not read or any(isinstance(n, ast.Subscript) for n in ast.walk(node)):
    return None
  seen = {e.value for e in unit.events(node) if not e.activation.initializing}
  return str(seen.pop()) if len(seen) == 1 and seen <= {True, False} else None


def settled_local(unit: Unit, name: str, value: ast.expr) -> bool:
  """Whether a local holds such an answer (`initialized = self.has_variable(...)`), which its readers get instead."""
  if unit.assigned[name] != 1 or name in unit.parameters or not _asks(unit, value):
    return False
  answer = _ANSWERS.get(unit.text(value))
  if answer is not None:
    unit.env[name] = Local("settled", value, target=str(answer))
  return answer is not None


def _asks(unit: Unit, node: ast.expr) -> bool:
  """Whether an expression is a question about the scope, or its opposite."""
  while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
    node = node.operand
  function = dotted(node.func) if isinstance(node, ast.Call) else None
  asks = function in {f"{unit.self_name}.{question}" for question in _QUESTIONS}
  return asks or _whether_filled(unit, node) is not None


def _answer(unit: Unit, node: ast.expr) -> bool | None:
  """The only answer that a question about the scope has in a call; None for any other expression."""
  inner = node
  while isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.Not):
    inner = inner.operand
  local = unit.env.get(inner.id) if isinstance(inner, ast.Name) else None
  if _asks(unit, inner) or (local is not None and local.kind == "settled"):
    return _ANSWERS.get(unit.text(node))
  found = settled_answer(unit, node) if isinstance(node, ast.BoolOp) else bound_answer(node)
  return {"True": True, "False": False}.get(found or "")


def _operand(unit: Unit, node: ast.expr) -> str:
  """An operand among others, in parentheses where it had them."""
  text = unit.text(node)
  return f"({text})" if isinstance(node, _LOOSE) else text


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
  """Whether a text needs no parentheses among others joined by `and`; what goes on in the next line needs them."""
  try:
    tree = ast.parse(text.strip(), mode="eval").body
  except SyntaxError:
    return False
  loose = isinstance(tree, ast.IfExp | ast.Lambda | ast.NamedExpr) or (
    isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.Or)
  )
  return not loose or tree.col_offset > 0  # in parentheses of its own
