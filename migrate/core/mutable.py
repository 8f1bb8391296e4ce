"""Which collections a call may change: Linen's `mutable=`, and the attributes that say so in a ported model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Flags = Mapping[str, Mapping[str, tuple[str, bool]]]


def is_mutable(mutable: Any, collection: str) -> bool:
  """Whether `apply(..., mutable=mutable)` lets a collection change.

  Args:
    mutable: None, a bool, a name, names, or a `DenyList` of one of these.
    collection: its name.
  """
  if mutable is None or isinstance(mutable, bool):
    return bool(mutable)
  if isinstance(mutable, str):
    return mutable == collection
  if hasattr(mutable, "deny"):
    return not is_mutable(mutable.deny, collection)
  return collection in mutable


def variable_class(collection: str) -> str:
  """What a Variable class for one of Linen's collections is called where NNX has none: `Losses` for `losses`."""
  return "".join(p.capitalize() for p in collection.strip("_").split("_"))


def set_flags(model: Any, flags: Flags, mutable: Any) -> None:
  """Sets the attributes that stand for Linen's `mutable=`.

  Args:
    model: an NNX module.
    flags: path of a module, as `encoder/norm` -> attribute -> (collection, its value where the collection may change).
    mutable: as for Linen's `apply`.
  """
  for path, attributes in flags.items():
    module = model
    for part in path.split("/") if path else ():
      module = getattr(module, part) if not part.isdigit() else module[int(part)]
    for attribute, (collection, value) in attributes.items():
      setattr(module, attribute, value == is_mutable(mutable, collection))
