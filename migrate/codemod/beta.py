"""A lambda that is called where it stands: its body with the arguments in place, as a person would write it."""

from __future__ import annotations

import ast

from migrate.codemod.source import Source


def applied(function: str, arguments: list[str]) -> str:
  """The text of `(lambda key, shape: normal(key, shape))(rngs.params(), (3,))`: `normal(rngs.params(), (3,))`.

  The call is written out where an argument would be evaluated more than once, or in another order or scope.

  Args:
    function: the text of the lambda.
    arguments: the texts of what it is called with.
  """
  call = f"({function})({', '.join(arguments)})"
  try:
    source = Source("", function)
    node = ast.parse(function, mode="eval").body
    given = [ast.parse(a, mode="eval").body for a in arguments]
  except SyntaxError:
    return call
  expression = source.tree.body[0]
  node = expression.value if isinstance(expression, ast.Expr) else node
  if not isinstance(node, ast.Lambda) or node.args.vararg or node.args.kwarg or node.args.kwonlyargs:
    return call
  names = [a.arg for a in [*node.args.posonlyargs, *node.args.args]]
  if len(names) != len(arguments):
    return call
  uses = [n for n in ast.walk(node.body) if isinstance(n, ast.Name) and n.id in names]
  scopes = ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.NamedExpr
  if any(isinstance(n, scopes) for n in ast.walk(node.body)):
    return call
  texts = dict(zip(names, arguments, strict=True))
  for name, value in zip(names, given, strict=True):
    count = sum(u.id == name for u in uses)
    if isinstance(value, ast.Starred) or (count > 1 and not _is_cheap(value)):
      return call
    if any(isinstance(u.ctx, ast.Store) for u in uses):
      return call
  start, end = source.span(node.body)
  text, at = "", start
  for use in sorted(uses, key=lambda n: source.span(n)[0]):
    a, b = source.span(use)
    inner = texts[use.id]
    alone = isinstance(source.parents.get(use), ast.Call | ast.keyword | ast.Tuple | ast.List) or use is node.body
    text += source.between(at, a) + (inner if alone or _is_atom(inner) else f"({inner})")
    at = b
  return text + source.between(at, end)


def _is_cheap(node: ast.AST) -> bool:
  """Whether a value may be evaluated twice: it reads fields and constants."""
  return all(
    isinstance(
      n, ast.Name | ast.Attribute | ast.Constant | ast.Tuple | ast.Subscript | ast.expr_context | ast.UnaryOp | ast.USub
    )
    for n in ast.walk(node)
  )


def _is_atom(text: str) -> bool:
  return isinstance(
    ast.parse(text, mode="eval").body, ast.Name | ast.Attribute | ast.Constant | ast.Call | ast.Tuple | ast.Subscript
  )
