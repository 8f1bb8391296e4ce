"""Where the `__init__` of a base runs: first, unless the base's `setup` reads what the class's own has assigned before."""

from __future__ import annotations

import ast

from migrate.codemod.base_calls import super_method
from migrate.codemod.unit import Unit

_CALL = "super().setup()"
_ASKS = {"hasattr", "getattr", "setattr"}


def is_super_setup(unit: Unit, node: ast.AST) -> bool:
  """Whether a statement is `super().setup()`."""
  return isinstance(node, ast.Expr) and super_method(unit, node.value) == "setup"


def base_runs_late(unit: Unit) -> bool:
  """Whether the statements above `super().setup()` assign attributes that a base's `setup` reads or asks for."""
  setup = unit.info.methods.get("setup")
  above = _above(unit, setup.body) if isinstance(setup, ast.FunctionDef) else []
  stored = {n.attr for s in above for n in ast.walk(s) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
  if not stored:
    return False
  for base in unit.info.cls.__mro__[1:]:
    info = unit.project.info(base)
    for node in ast.walk(info.methods["setup"]) if info is not None and "setup" in info.methods else ():
      if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr in stored:
        return True
      if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ASKS:
        return True
  return False


def _above(unit: Unit, statements: list[ast.stmt]) -> list[ast.stmt]:
  """The statements above `super().setup()`; none where it is not one of them."""
  at = next((i for i, s in enumerate(statements) if is_super_setup(unit, s)), 0)
  return statements[:at]


def with_base(setup: list[str], call: list[str], fields: set[str]) -> list[str] | None:
  """The lines of `setup` with the call of the base's `__init__` in its place; None where it has none.

  The base has not assigned its `fields` above that: their arguments are read there.
  """
  if _CALL not in setup:
    return None
  at = setup.index(_CALL)
  return [*_of_arguments("\n".join(setup[:at]), fields).split("\n"), *call, *setup[at + 1 :]]


def _of_arguments(text: str, fields: set[str]) -> str:
  """The statements with `self.width` read as `width`, except in functions, which run later."""
  tree = ast.parse(text)
  later = {n for f in ast.walk(tree) if isinstance(f, ast.Lambda | ast.FunctionDef) for n in ast.walk(f)}
  taken = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
  lines = text.split("\n")
  found = [
    n
    for n in ast.walk(tree)
    if isinstance(n, ast.Attribute)
    and isinstance(n.ctx, ast.Load)
    and isinstance(n.value, ast.Name)
    and n.value.id == "self"
    and n.attr in fields - taken
    and n not in later
  ]
  for node in sorted(found, key=lambda n: (n.lineno, n.col_offset), reverse=True):
    line = lines[node.lineno - 1].encode()
    start, end = node.col_offset, node.end_col_offset or 0
    lines[node.lineno - 1] = (line[:start] + node.attr.encode() + line[end:]).decode()
  return "\n".join(lines)
