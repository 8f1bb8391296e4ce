"""Sizes behind a condition of which the examples took one way only."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from migrate.codemod.scope import Dims, Local

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def last_axes_of(env: Mapping[str, Local]) -> dict[str, Dims]:
  """The axes of all arrays that are known by name, to be compared with what a branch makes of them."""
  return {n: [list(axis) for axis in v.dims] for n, v in env.items() if v.kind == "array" and v.dims}


def resized(
  unit: Unit,
  entry: Mapping[str, Dims],
  taken: Mapping[str, Local],
  untaken: Mapping[str, Local],
  way: Sequence[ast.stmt],
) -> dict[str, Local]:
  """Arrays that have another last axis on the way that no example took, as that way leaves them.

  Args:
    unit: whose method is written.
    entry: what was known before the condition.
    taken: what is known after the way that ran.
    untaken: what its source tells of the other.
    way: the statements of the other.

  Returns:
    Name -> the array, with as many axes as the way that ran has seen.
  """
  if way and isinstance(way[-1], ast.Return | ast.Raise | ast.Continue | ast.Break):
    return {}
  found = {}
  for name, other in untaken.items():
    seen = taken.get(name)
    if seen is None or seen.kind != "array" or other.kind != "array" or not seen.dims or not other.dims:
      continue
    told = [c for c in other.dims[-1] if unit.available(c)]
    before = entry.get(name)
    if not told or not seen.dims[-1] or set(told) & set(seen.dims[-1]):
      continue
    if before is not None and before[-1] == other.dims[-1] and (way or before[-1] == seen.dims[-1]):
      continue  # that way leaves it alone
    found[name] = dataclasses.replace(seen, dims=[*seen.dims[:-1], told])
  return found


def seen_only(taken: dict[str, Local], untaken: dict[str, Local]) -> dict[str, Local]:
  """What the branch that ran tells of names of which the other, which never ran, tells nothing."""
  unknown = {n for n, v in untaken.items() if v.kind == "dynamic"}
  return {n: v for n, v in taken.items() if v.kind == "array" or (v.kind == "static" and n in unknown)}
