"""Classes that stay dataclasses, because a decorator of theirs reads dataclass fields.

The fields stay as written; what Linen's `setup` and compact methods make is made in `__post_init__`, which is given
`rngs` and the sizes as `InitVar`.
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

from migrate.codemod.inheritance import all_fields
from migrate.codemod.site import SizeArg, follow_name
from migrate.codemod.unit import Unit


def needs_dataclass(full: str | None) -> bool:
  """Whether a class decorator reads what only a dataclass has."""
  found = follow_name(full) if full else None
  try:
    text = inspect.getsource(found) if found is not None else ""
  except (OSError, TypeError):
    return False
  return "dataclass" in text or "__dataclass_fields__" in text or "fields(" in text


def reading_decorators(unit: Unit) -> list[ast.expr]:
  """The class's decorators that read dataclass fields."""
  found = []
  for decorator in unit.info.node.decorator_list:
    full = unit.resolve(decorator.func if isinstance(decorator, ast.Call) else decorator)
    if full is not None and not full.startswith(("flax.linen.", "dataclasses.")) and needs_dataclass(full):
      found.append(decorator)
  return found


def stays_dataclass(unit: Unit, stored: Any) -> bool:
  """Whether the class can be a dataclass for the sake of a decorator: the fields are its own and are kept as given.

  Args:
    unit: the class.
    stored: field -> what `self.field` keeps, as text.
  """
  fields = all_fields(unit)
  own = {f.name for f in unit.info.fields}
  return (
    bool(reading_decorators(unit))
    and bool(own)
    and own == {f.name for f in fields}
    and not unit.call_fields & own
    and "__post_init__" not in unit.info.methods
    and all(stored(f) == f.name for f in fields)
  )


def constructor_attributes(unit: Unit) -> set[str]:
  """Attributes that instances have from the decorated constructor, before `setup` and calls."""
  own = {
    n.attr for n in ast.walk(unit.info.node) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)
  } | set(unit.field_names)
  found: set[str] = set()
  for fact in unit.project.facts:
    for call in fact.calls:
      if isinstance(call.module, unit.info.cls):
        found |= {n for n in vars(call.module) if not n.startswith("_")} - own
  return found - {"parent", "name", "scope"}


def init_fields(unit: Unit, sizes: list[SizeArg], types: dict[str, str], indent: str) -> str:
  """The constructor's arguments that Linen did not have, after the fields."""
  unit.need_import("import dataclasses")
  lines = [] if any(f.keyword_only for f in unit.info.fields) else ["_: dataclasses.KW_ONLY"]
  given = {s.name: f"dataclasses.InitVar[{types[s.name] or 'object'}{' | None' * s.optional}]" for s in sizes}
  lines += [f"{s.name}: {given[s.name]}" for s in sizes if not s.optional and not s.default]
  lines += [f"{s.name}: {given[s.name]} = {s.default or None}" for s in sizes if s.optional or s.default]
  lines.append("rngs: dataclasses.InitVar[nnx.Rngs]")
  return "".join(f"{indent}{line}\n" for line in lines)


def post_init(sizes: list[SizeArg], types: dict[str, str], indent: str) -> str:
  """The signature of `__post_init__`; it takes the `InitVar` fields in their order."""
  ordered = sorted(sizes, key=lambda s: s.optional or bool(s.default))
  pieces = [f"{s.name}: {types[s.name] or 'object'}" + (" | None" if s.optional else "") for s in ordered]
  return f"{indent}def __post_init__({', '.join(['self', *pieces, 'rngs: nnx.Rngs'])}):\n"
