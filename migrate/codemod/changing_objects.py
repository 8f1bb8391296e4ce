"""Plain objects that change themselves when they are used: a table of angles that the first call fills.

Linen makes those of `setup` anew for every call. An NNX module would keep one, with arrays of a call that is over.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Sequence
from typing import Any

from flax import linen as nn

_AT_FIRST = ("__init__", "__new__", "__post_init__")
_PLAIN = ("builtins", "jax", "jaxlib", "numpy", "flax", "typing", "collections", "functools")


def all_change_themselves(values: Sequence[Any]) -> bool:
  """Whether all values are objects of plain classes with methods that set attributes."""
  return bool(values) and all(not isinstance(v, nn.Module | type) and _changes(type(v)) for v in values)


@functools.cache
def _changes(cls: type) -> bool:
  for base in cls.__mro__[:-1]:
    if base.__module__.partition(".")[0] in _PLAIN:
      continue
    try:
      tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
    except (OSError, TypeError, SyntaxError):
      continue
    methods = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name not in _AT_FIRST and n.args.args]
    if any(_sets_attribute(m) for m in methods):
      return True
  return False


def _sets_attribute(method: ast.FunctionDef) -> bool:
  """Whether a method sets an attribute of its first argument."""
  own = method.args.args[0].arg
  return any(
    isinstance(n, ast.Attribute)
    and isinstance(n.ctx, ast.Store)
    and isinstance(n.value, ast.Name)
    and n.value.id == own
    for n in ast.walk(method)
  )
