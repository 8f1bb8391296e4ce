"""What a module asks its scope, which it could ask itself."""

from __future__ import annotations

import ast

_ASKED = {
  "param", "variable", "make_rng", "has_rng", "get_variable", "put_variable", "has_variable", "is_mutable_collection",
}  # fmt: skip


def ask_the_module(node: ast.ClassDef) -> None:
  """Reads `self.scope.has_rng("dropout")` as `self.has_rng("dropout")`, everywhere in a class of modules."""
  for call in ast.walk(node):
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _ASKED:
      owner = call.func.value
      if isinstance(owner, ast.Attribute) and is_scope(owner):
        call.func.value = owner.value


def is_scope(node: ast.AST) -> bool:
  """Whether an expression is `self.scope`."""
  return (
    isinstance(node, ast.Attribute)
    and node.attr == "scope"
    and isinstance(node.value, ast.Name)
    and node.value.id == "self"
  )


def bound_answer(node: ast.AST) -> str | None:
  """What `self.scope is None` is, in NNX as in every call of Linen's; None for another expression."""
  if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not is_scope(node.left):
    return None
  other = node.comparators[0]
  if not isinstance(other, ast.Constant) or other.value is not None:
    return None
  return {ast.Is: "False", ast.IsNot: "True", ast.Eq: "False", ast.NotEq: "True"}.get(type(node.ops[0]))
