"""Sizes of arrays that a call argument holds: `batch["rgb"]` of a dict has axes as an argument of its own would."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migrate.codemod.project import is_array
from migrate.codemod.scope import Dims
from migrate.codemod.site import InstanceKey

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

AT = "_AT_"  # between the argument and the key in the name of a size
Arrays = Sequence[tuple[Any, Any]]


def bind_items(unit: Unit, name: str, values: Arrays) -> None:
  """Gives the arrays of an argument that is always a dict their axes."""
  unit.item_dims = {k: v for k, v in unit.item_dims.items() if k[0] != name}
  if not values or not all(isinstance(v, Mapping) for _, v in values):
    return
  for key in values[0][1]:
    arrays = [(a, v.get(key)) for a, v in values]
    if isinstance(key, str) and key.isidentifier() and all(is_array(v) and v.shape for _, v in arrays):
      unit.item_dims[name, key] = axes_of(unit, f"{name}{AT}{key}", "__call__", arrays)


def item_of(unit: Unit, node: ast.AST) -> Dims | None:
  """The axes of `batch["rgb"]`, where `batch` is the argument; None for anything else."""
  if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name):
    return None
  name, key = node.value.id, node.slice.value if isinstance(node.slice, ast.Constant) else None
  return unit.item_dims.get((name, str(key))) if unit.assigned[name] == 0 else None


def axes_of(unit: Unit, named: str, method: str, arrays: Arrays) -> Dims:
  """A size for every axis of an argument that has one in each instance; what each is, is remembered."""
  rank = min(len(v.shape) for _, v in arrays)
  dims: Dims = []
  for axis in range(rank, 0, -1):
    sizes: dict[InstanceKey, set[int]] = {}
    made = {unit.owner_key(a) for a, _ in arrays if a.initializing}
    for activation, value in arrays:  # Linen makes variables while it initializes: sizes then are the ones that count
      if activation.initializing or unit.owner_key(activation) not in made:
        sizes.setdefault(unit.owner_key(activation), set()).add(value.shape[-axis])
    known = all(len(s) == 1 for s in sizes.values())
    key = f"SIZE__{named}__{axis}"
    dims.append([key] if known and method != "setup" else [])
    if known:
      unit.tokens.setdefault((named, axis), method)
      unit.token_values.setdefault(key, {}).update({k: next(iter(s)) for k, s in sizes.items()})
      unit.token_rank[key] = rank
      if all("int" in str(v.dtype) for _, v in arrays):
        unit.counting.add(key)
  return dims


def item_size_name(parameter: str, short: str) -> str:
  """What a size of an item is called, `rgb_features`; empty where the parameter is no item."""
  key = parameter.partition(AT)[2]
  return "" if not key else key if key.endswith(f"_{short}") or key == short else f"{key}_{short}"
