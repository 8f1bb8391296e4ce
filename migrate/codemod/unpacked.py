"""What a local stands for that is written once, in full, and only unpacked: `kwargs = dict(features=8)`, `Cell(**kwargs)`."""

from __future__ import annotations

import ast

from migrate.codemod.source import Source, names_in


def unpacked_dict(source: Source, name: ast.AST) -> list[tuple[str, ast.expr]] | None:
  """(key, value) of the local dict that `**name` unpacks; None where it may hold anything else by then.

  Args:
    source: the file.
    name: what the two stars stand before.
  """
  value = _only_value(source, name)
  if isinstance(value, ast.Dict):
    keys = [k.value if isinstance(k, ast.Constant) else None for k in value.keys]
    if all(isinstance(k, str) and k.isidentifier() for k in keys):
      return [(str(k), v) for k, v in zip(keys, value.values, strict=True)]
  if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "dict" and not value.args:
    if all(k.arg is not None for k in value.keywords):
      return [(str(k.arg), k.value) for k in value.keywords]
  return None


def unpacked_items(source: Source, arguments: list[ast.expr]) -> list[ast.expr]:
  """Arguments with the items of local tuples in place of `*name`, where they are known."""
  found: list[ast.expr] = []
  for argument in arguments:
    value = _only_value(source, argument.value) if isinstance(argument, ast.Starred) else None
    found += value.elts if isinstance(value, ast.Tuple | ast.List) else [argument]
  return found


def _only_value(source: Source, name: ast.AST) -> ast.expr | None:
  """What a local is assigned, once, if it is only ever unpacked and nothing in it changes before `name`."""
  function = next((n for n in source.enclosing(name) if isinstance(n, ast.FunctionDef)), None)
  if not isinstance(name, ast.Name) or function is None:
    return None
  inside = list(ast.walk(function))
  uses = [n for n in inside if isinstance(n, ast.Name) and n.id == name.id]
  stores = [n for n in uses if not isinstance(n.ctx, ast.Load)]
  given = source.parents.get(stores[0]) if len(stores) == 1 else None
  if not isinstance(given, ast.Assign) or given.targets != stores:
    return None
  for use in uses:
    place = source.parents.get(use)
    unpacks = isinstance(place, ast.Starred) or (isinstance(place, ast.keyword) and place.arg is None)
    if use is not stores[0] and not unpacks:
      return None
  between = range(given.lineno + 1, name.lineno + 1)
  changed = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and n.lineno in between}
  return given.value if not names_in(source.code(given.value)) & changed else None
