"""Lists and dicts of layers that `setup` makes where no example comes: NNX wants to know that layers are in them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.inheritance import CONSTRUCTION
from migrate.codemod.project import holds_modules

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def untraced_container(unit: Unit, attr: str, value: ast.expr) -> Any:
  """A value like the one that an attribute gets where no example comes: lists and dicts with modules in them.

  Args:
    unit: whose `setup` is written.
    attr: the attribute.
    value: what it is assigned.

  Returns:
    The value; None where it is no list or dict of layers.
  """
  found = _like(unit, value)
  if holds_modules(found) and not isinstance(found, nn.Module):
    return found
  if isinstance(value, ast.Name) and unit.untraced and _grown(unit, value.id):
    return []
  return _elsewhere(unit, attr, value)


def _like(unit: Unit, node: ast.expr) -> Any:
  if isinstance(node, ast.List | ast.Tuple):
    return [_like(unit, e) for e in node.elts]
  if isinstance(node, ast.ListComp):
    return [_like(unit, node.elt)]
  if isinstance(node, ast.Dict):
    return {str(i): _like(unit, v) for i, v in enumerate(node.values)}
  if isinstance(node, ast.DictComp):
    return {"0": _like(unit, node.value)}
  if not isinstance(node, ast.Call):
    return None
  given = unit.given_by(node) if unit.factory_of(node) is not None else []
  sample = next((v for v in given if holds_modules(v)), nn.Module() if unit.creates(node) else None)
  return dict(sample) if isinstance(sample, Mapping) else sample


def _elsewhere(unit: Unit, attr: str, value: ast.expr) -> Any:
  """An empty list or dict where another statement, which an example reached, gives the attribute layers in one; else None."""
  empty = {ast.Dict: {}, ast.DictComp: {}, ast.List: [], ast.ListComp: []}.get(type(value))  # type: ignore[var-annotated]
  makers = [m for n, m in unit.info.methods.items() if n in CONSTRUCTION] if empty is not None else []
  assigned = [n for m in makers for n in ast.walk(m) if isinstance(n, ast.Assign)]
  values = [n.value for n in assigned if any(isinstance(t, ast.Attribute) and t.attr == attr for t in n.targets)]
  seen = [e.value for v in values for e in unit.events(v)]
  return empty if any(holds_modules(v) and not isinstance(v, nn.Module) for v in seen) else None


def _grown(unit: Unit, name: str) -> bool:
  """Whether a local is a list of layers, or one that layers are appended to."""
  nodes = [n for m in CONSTRUCTION if m in unit.info.methods for n in ast.walk(unit.info.methods[m])]
  layers = {
    t.id
    for n in nodes
    if isinstance(n, ast.Assign) and any(isinstance(c, ast.Call) and unit.creates(c) for c in ast.walk(n.value))
    for t in n.targets
    if isinstance(t, ast.Name)
  }
  added = [
    n.args[0] for n in nodes if isinstance(n, ast.Call) and n.args and unit.source.code(n.func) == f"{name}.append"
  ]
  made = any(isinstance(c, ast.Call) and unit.creates(c) for a in added for c in ast.walk(a))
  return made or name in layers or any(isinstance(a, ast.Name) and a.id in layers for a in added)
