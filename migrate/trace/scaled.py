"""The same model with other numbers in its fields: more features, one layer more."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

from migrate.example import Example

_FEATURES = (
  "hidden",
  "dim",
  "feature",
  "channel",
  "width",
  "embed",
  "embd",
  "intermediate",
  "ffn",
  "mlp",
  "filter",
  "units",
  "d_model",
)
_COUNTS = (
  "num_",
  "n_",
  "max",
  "vocab",
  "head",
  "layer",
  "kernel",
  "position",
  "patch",
  "depth",
  "group",
  "ratio",
  "stride",
)
_MOST_APART = 3
_LISTS = ("sizes", "layers", "arch")  # how names of lists of features end
_OTHER_LISTS = ("kernel", "patch", "window", "stage", "block", "num_", "n_", "stride", "pool", "image", "grid")
_LAYERS = ("layers", "num_layer", "n_layer", "blocks", "depth")  # how such names end


def scaled(
  example: Example, *, lists: bool = False, deeper: bool = False, ones: bool = False, longer: bool = False
) -> Example | None:
  """The example with twice the features in its module's fields and in configs that they hold.

  Args:
    example: the model and its calls.
    lists: also what lists of features hold.
    deeper: also one layer more, where a field counts them.
    ones: also fields that are one.
    longer: lists of features have one more item.

  Returns:
    The other example, or None where no field counts features.
  """
  changes: dict[str, Any] = {}
  for name in type(example.module).__dataclass_fields__:
    if name in ("parent", "name"):
      continue
    value = getattr(example.module, name, None)
    other = _other(name, value, lists, deeper, ones, longer)
    if other is None and _is_config(value):
      other = _other_config(value, lists, deeper, ones, longer)
    if other is not None:
      changes[name] = other
  if not changes:
    return None
  return dataclasses.replace(example, module=example.module.clone(**changes))


def told_apart(example: Example) -> list[Example]:
  """The example with other numbers where fields of its module are the same by chance: all at once, then one by one.

  `heads=4, head_dim=4`: a size is not `heads * heads` then.
  """
  module = example.module
  fields = [n for n in type(module).__dataclass_fields__ if n not in ("parent", "name")]
  values = {n: getattr(module, n, None) for n in fields}
  seen: set[int] = set()
  changes: dict[str, Any] = {}
  for name, value in values.items():
    if type(value) is int and value in seen and len(changes) < _MOST_APART:
      changes[name] = value * (2 + len(changes))
    elif type(value) is int and value > 1:
      seen.add(value)
  several = [{n: v} for n, v in changes.items()] if len(changes) > 1 else []
  return [dataclasses.replace(example, module=module.clone(**c)) for c in [changes, *several] if c]


def _other(name: str, value: Any, lists: bool, deeper: bool, ones: bool, longer: bool) -> Any:
  """Another value for a field, or None where it is no number of features or layers."""
  if deeper and name.lower().endswith(_LAYERS) and "max" not in name.lower() and type(value) is int and value > 0:
    return max(value + 1, 3)  # two rounds of a loop tell more than one
  if lists and isinstance(value, list | tuple) and (_counts_features(name) or _lists_features(name)):
    numbers = list(value)
    if numbers and all(type(v) is int and v > 1 for v in numbers):
      return type(value)([*(v * 2 for v in numbers), *([numbers[-1] * 3] if longer else [])])  # as many heads divide it
  if type(value) is int and (value > 1 or (ones and value == 1)) and _counts_features(name):
    return value * 2
  return None


def _counts_features(name: str) -> bool:
  low = name.lower()
  return any(w in low for w in _FEATURES) and not any(w in low for w in _COUNTS)


def _lists_features(name: str) -> bool:
  low = name.lower()
  return low.endswith(_LISTS) and not any(w in low for w in _OTHER_LISTS)


def _is_config(value: Any) -> bool:
  if value is None or callable(value) or isinstance(value, str | int | float | tuple | list | dict | type):
    return False
  return isinstance(getattr(value, "__dict__", None), dict) and not hasattr(value, "shape")


def _other_config(value: Any, lists: bool, deeper: bool, ones: bool, longer: bool) -> Any:
  found = {k: other for k, v in vars(value).items() if (other := _other(k, v, lists, deeper, ones, longer)) is not None}
  if not found:
    return None
  try:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
      return dataclasses.replace(value, **found)
    changed = copy.copy(value)
    for name, number in found.items():
      setattr(changed, name, number)
    return changed
  except Exception:
    return None
