"""Attributes of `setup` that hold a constant first and a layer or an array then."""

from __future__ import annotations

import ast

from migrate.codemod.project import has_array, holds_modules
from migrate.codemod.unit import Unit


def takes_more_later(unit: Unit, attr: str, value: ast.expr) -> bool:
  """Whether a constant or number is only the attribute's first value, and a later statement assigns a layer or an array.

  NNX takes an attribute that first held None for static, unless told otherwise.
  """
  plain = [e.value for e in unit.events(value)]
  if not isinstance(value, ast.Constant) and (not plain or any(has_array(v) or holds_modules(v) for v in plain)):
    return False
  for node in (n for m in map(unit.info.methods.get, ("__post_init__", "setup")) if m is not None for n in ast.walk(m)):
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and node.lineno > value.lineno:
      targets = node.targets if isinstance(node, ast.Assign) else [node.target]
      dynamic = isinstance(value, ast.Constant) or any(has_array(e.value) for e in unit.events(node.value))
      if (
        any(_is_attribute(t, unit.self_name, attr) for t in targets)
        and not isinstance(node.value, ast.Constant)
        and dynamic
      ):
        return not _other_branch(unit, value, node)
  return isinstance(value, ast.Constant) and _taken_by_subclasses(unit, attr)


def _taken_by_subclasses(unit: Unit, attr: str) -> bool:
  """Whether the `setup` of a subclass gives the attribute a layer or an array: a base's `self.layer = None`."""
  for info in unit.project.classes.values():
    setup = info.methods.get("setup")
    if setup is None or info.cls is unit.info.cls or not issubclass(info.cls, unit.info.cls) or not setup.args.args:
      continue
    own = setup.args.args[0].arg
    for node in (n for n in ast.walk(setup) if isinstance(n, ast.Assign | ast.AnnAssign) and n.value is not None):
      targets = node.targets if isinstance(node, ast.Assign) else [node.target]
      seen = [e.value for e in unit.project.events(info.source, node.value)]  # type: ignore[arg-type]
      if any(_is_attribute(t, own, attr) for t in targets) and any(has_array(v) or holds_modules(v) for v in seen):
        return True
  return False


def _is_attribute(node: ast.AST, owner: str, attr: str) -> bool:
  if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
    return False
  return node.value.id == owner and node.attr == attr


def _other_branch(unit: Unit, value: ast.AST, later: ast.AST) -> bool:
  """Whether two nodes stand in different branches of one condition, so that only one of them runs."""
  around: list[ast.AST] = []
  node: ast.AST | None = value
  while node is not None:
    around.append(node)
    node = unit.source.parents.get(node)
  for outer in around:
    if isinstance(outer, ast.If):
      body = any(n in around for n in outer.body)
      other = outer.orelse if body else outer.body
      if any(later is n for part in other for n in ast.walk(part)):
        return True
  return False
