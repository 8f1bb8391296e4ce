"""Names that `__init__` gives a value: arguments of functions that are written out there, and counters of loops."""

from __future__ import annotations

import ast
import dataclasses
import operator
from typing import TYPE_CHECKING, Any

from migrate.codemod.scope import Stmt

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


_COMPARED = {
  ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip


def constant_truth(text: str | None) -> bool | None:
  """What a condition over literals is, such as `None is None`; None where it is about anything else."""
  if text is None:
    return None
  try:
    found = _value(ast.parse(text.strip(), mode="eval").body)
  except (SyntaxError, ValueError, TypeError):
    return None
  return bool(found)


def _value(node: ast.expr) -> Any:
  if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
    return not _value(node.operand)
  if isinstance(node, ast.Compare) and len(node.ops) == 1:
    left, right = ast.literal_eval(node.left), ast.literal_eval(node.comparators[0])
    if isinstance(node.ops[0], ast.Is | ast.IsNot):
      if left is not None and right is not None:
        raise ValueError("only None is one object")
      return (left is right) == isinstance(node.ops[0], ast.Is)
    work = _COMPARED.get(type(node.ops[0]))
    if work is None:
      raise ValueError("another comparison")
    return work(left, right)
  return ast.literal_eval(node)


def bind_given(unit: Unit, node: ast.AST) -> None:
  """Gives a name in `__init__` to every argument that a statement goes on to change: `if widths is None: widths = ...`."""
  suites = [*getattr(node, "body", ()), *getattr(node, "orelse", ())]
  inner = [n for s in suites for n in ast.walk(s)]
  stored = {n.id for n in inner if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
  for name in sorted(stored):
    local = unit.env.get(name)
    if local is None or local.kind != "size" or not local.target:
      continue
    text = unit.pick(local.target, frozenset())
    if text is None:
      continue
    unit.rebinding(name)
    unit.block.append(Stmt(lambda n=name, t=text: f"{n} = {t}", frozenset({name})))
    unit.env[name] = dataclasses.replace(local, kind="static", target=None)


def index_of(unit: Unit, node: ast.For | ast.While) -> str | None:
  """The name that counts the rounds from 0."""
  if unit.loops or not isinstance(node, ast.For):
    return None
  call = node.iter
  if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
    if call.func.id == "range" and len(call.args) == 1 and isinstance(node.target, ast.Name):
      return node.target.id
    if (
      call.func.id == "enumerate"
      and len(call.args) == 1
      and isinstance(node.target, ast.Tuple)
      and isinstance(node.target.elts[0], ast.Name)
    ):
      return node.target.elts[0].id
  return None
