"""Which parts of an Optax transformation look at whole tensors, or at the order of the parameters.

An Optax transformation is a pair of closures; what it was made from is read off them, without importing Optax.
"""

from __future__ import annotations

import types
from typing import Any

from migrate.core.registry import load_optimizers

DEPTH = 24
LEAVES = (str, bytes, int, float, type(None), types.ModuleType, type)


def functions_of(transformation: Any) -> frozenset[str]:
  """Names of the functions that made a transformation and all that it wraps, such as `scale_by_adam`."""
  names: set[str] = set()
  _walk(transformation, names, set(), DEPTH)
  return frozenset(names)


def _walk(thing: Any, names: set[str], seen: set[int], depth: int) -> None:
  if depth == 0 or id(thing) in seen or isinstance(thing, LEAVES):
    return
  seen.add(id(thing))
  if isinstance(thing, (tuple, list, set, frozenset)):
    inside = list(thing)
  elif isinstance(thing, dict):
    inside = list(thing.values())
  else:
    qualified = getattr(thing, "__qualname__", "")
    if qualified:
      names.add(qualified.partition(".")[0])
    cells = getattr(thing, "__closure__", None) or ()
    inside = [cell.cell_contents for cell in cells if _filled(cell)]
    inside += [getattr(thing, a) for a in ("__wrapped__", "__self__", "func", "args", "keywords") if hasattr(thing, a)]
    inside += [v for v in getattr(thing, "__dict__", {}).values() if callable(v) or isinstance(v, tuple)]
  for one in inside:
    _walk(one, names, seen, depth - 1)


def _filled(cell: Any) -> bool:
  try:
    _ = cell.cell_contents
  except ValueError:
    return False
  return True


def transformation_of(optimizer: Any) -> Any:
  """The Optax transformation of an nnx.Optimizer, or what is one itself; None where it is not known."""
  made = getattr(optimizer, "tx", optimizer)
  return made if callable(getattr(made, "update", None)) and hasattr(made, "init") else None


def changed_by_joining(transformation: Any) -> tuple[str, ...]:
  """Functions in it whose update changes where parameters are joined or split."""
  return _made_by("per_tensor", transformation)


def changed_by_axes(transformation: Any) -> tuple[str, ...]:
  """Functions in it whose update changes where parameters are reshaped or transposed."""
  return _made_by("by_axes", transformation)


def changed_by_order(transformation: Any) -> tuple[str, ...]:
  """Functions in it whose update changes where parameters come in another order."""
  return _made_by("by_order", transformation)


def _made_by(flag: str, transformation: Any) -> tuple[str, ...]:
  known = {f for r in load_optimizers().values() if getattr(r, flag) for f in r.made_by}
  return tuple(sorted(known & functions_of(transformation)))
