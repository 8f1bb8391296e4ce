"""A plan applied to leaves, leaf by leaf: nothing is read before it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, runtime_checkable

import numpy as np

from migrate.core.entries import Plan
from migrate.core.ops import run_ops
from migrate.core.paths import Path, key, show
from migrate.core.report import refuse
from migrate.core.tree import NOTHING, Leaf, flatten, spec_of


@runtime_checkable
class Lazy(Protocol):
  """A leaf that is read when it is needed."""

  shape: tuple[int, ...]
  dtype: Any

  def read(self) -> Any:
    """The array."""
    ...


def read(leaf: Any) -> Any:
  """The array of a leaf, lazy or not; Python numbers become NumPy scalars."""
  if hasattr(leaf, "read") and not hasattr(leaf, "__array_namespace__"):
    return leaf.read()
  return np.asarray(leaf) if isinstance(leaf, bool | int | float | complex) else leaf


def translate(plan: Plan, leaves: Any) -> Iterator[tuple[Path, Any]]:
  """Yields (target path, array), one entry of the plan after another.

  Args:
    plan: either direction. Fresh targets are not yielded; masked ones are `NOTHING`.
    leaves: the leaves of the plan's source side, nested or flat; arrays or `Lazy`.

  Raises:
    MigrateError: where a leaf is missing, is not what the plan was made from, or tied leaves differ.
  """
  flat = {key(path): leaf for path, leaf in flatten(leaves).items()}
  filled = {key(e.targets[0].path): e for e in plan.entries if e.fate in ("same", "move") and len(e.targets) == 1}
  backward = plan.direction != "linen->nnx"
  for entry in plan.entries:
    if entry.fate in ("drop", "fresh"):
      continue
    if entry.sources[0].spec == NOTHING:
      yield from ((t.path, NOTHING) for t in entry.targets)
      continue
    arrays = _read(entry.sources, flat)
    if entry.fate == "tie" and not backward:
      other = filled[key(entry.targets[0].path)]
      _same_values(entry, arrays, run_ops(other.ops, _read(other.sources, flat)))
      continue
    for target, array in zip(entry.targets, run_ops(entry.ops, arrays), strict=True):
      yield target.path, array


def _read(sources: Sequence[Leaf], flat: Mapping[Any, Any]) -> list[Any]:
  for leaf in sources:
    k = key(leaf.path)
    if k not in flat:
      raise refuse(show(leaf.path), "is missing", str(leaf.spec), "give the tree that the plan was made from")
    spec = spec_of(flat[k])
    if spec != leaf.spec:
      raise refuse(show(leaf.path), str(spec), str(leaf.spec), "give the tree that the plan was made from")
  found = [flat[key(leaf.path)] for leaf in sources]
  if len(found) < 2 or not any(hasattr(leaf, "read") for leaf in found):
    return [read(leaf) for leaf in found]
  with ThreadPoolExecutor(4) as threads:  # reading and checksums release the interpreter lock
    return list(threads.map(read, found))


def _same_values(entry: Any, mine: list[Any], others: list[Any]) -> None:
  for one, other in zip(run_ops(entry.ops, mine), others, strict=True):
    if np.asarray(one).tobytes() != np.asarray(other).tobytes():
      where = show(entry.sources[0].path)
      raise refuse(
        where,
        f"differs from what is at {show(entry.targets[0].path)}",
        "tied leaves that are equal",
        "remove the tie and give it a place of its own",
      )
