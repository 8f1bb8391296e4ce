"""Classes of modules that a class speaks of, whether an example makes them or not."""

from __future__ import annotations

import ast
import inspect
import sys
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.source import Source, dotted

if TYPE_CHECKING:
  from migrate.codemod.project import ClassInfo


def spoken_of(info: ClassInfo, sources: Mapping[str, Source]) -> list[type]:
  """Module classes that a class names, and those of the tables and functions it names: `layer = layer_class(kind)`.

  Args:
    info: the class.
    sources: the files whose functions are looked into.
  """
  home = sys.modules.get(info.module) or sys.modules.get(info.cls.__module__)
  names = vars(home) if home is not None else {}
  found: list[Any] = []
  for value in _held(info.node, names):
    found += [value] if isinstance(value, type) else value.values() if isinstance(value, dict) else []
    source = sources.get(value.__code__.co_filename) if inspect.isfunction(value) else None
    if source is None or not inspect.isfunction(value):
      continue
    node = source.function(value.__code__.co_firstlineno, value.__code__.co_qualname)
    if node is not None:
      found += _held(node, value.__globals__)
  return [f for f in found if isinstance(f, type) and issubclass(f, nn.Module) and f is not nn.Module]


def _held(node: ast.AST, names: Mapping[str, Any]) -> list[Any]:
  """What the names in a piece of source stand for; those behind a dot only where they are of a file of Python's."""
  found = [names.get(n.id) for n in ast.walk(node) if isinstance(n, ast.Name)]
  for attribute in [n for n in ast.walk(node) if isinstance(n, ast.Attribute)]:
    first, *rest = (dotted(attribute) or "").split(".")
    value = names.get(first)
    for part in rest:
      value = vars(value).get(part) if isinstance(value, types.ModuleType) else None
    if isinstance(value, type | types.FunctionType):
      found.append(value)
  return found
