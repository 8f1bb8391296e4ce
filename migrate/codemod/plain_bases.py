"""Fields that a class has from a dataclass which is no module: `class Block(Config, nn.Module)`.

The base keeps its own `__init__`, which sets them; that of the module hands on what it does not know.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flax import linen as nn

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def plain_dataclass(cls: type) -> type | None:
  """The nearest base that is a dataclass with fields and no module."""
  for base in cls.__mro__[1:]:
    if not issubclass(base, nn.Module) and vars(base).get("__dataclass_fields__") and "__init__" in vars(base):
      return None if issubclass(nn.Module, base) else base
  return None


def base_init(unit: Unit) -> str | None:
  """The call that sets the fields of the dataclass among a class's own bases; None where there is none."""
  wanted = plain_dataclass(unit.info.cls)
  bases = unit.info.cls.__bases__
  if wanted is None or len(bases) != len(unit.info.node.bases):
    return None
  for base, node in zip(bases, unit.info.node.bases, strict=True):
    if not issubclass(base, nn.Module) and issubclass(base, wanted) and isinstance(node, ast.Name | ast.Attribute):
      return f"{unit.text(node)}.__init__(self, *args, **kwargs)"
  return None
