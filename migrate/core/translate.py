"""A plan applied to leaves, leaf by leaf: nothing is read before it is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, runtime_checkable

import numpy as np

from migrate.core.entries import Entry, Plan
from migrate.core.ops import run_ops
from migrate.core.paths import Path, key, show
from migrate.core.report import refuse
from migrate.core.tree import NOTHING, Leaf, flatten, spec_of

_AHEAD = 24 << 20


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
  filled = {key(t.path): (e, n) for e in plan.entries if e.fate in ("same", "move") for n, t in enumerate(e.targets)}
  entries = [e for e in plan.entries if e.fate not in ("drop", "fresh")]
  for entry, arrays in _read_ahead(entries, flat):
    if entry.sources[0].spec == NOTHING:
      yield from ((t.path, NOTHING) for t in entry.targets)
      continue
    if entry.fate == "tie":
      for one, target in zip(run_ops(entry.ops, arrays), entry.targets, strict=True):
        other, place = filled[key(target.path)]
        if np.asarray(one).tobytes() != np.asarray(run_ops(other.ops, _read(other.sources, flat))[place]).tobytes():
          raise _differ(plan, entry, target, other)
      continue
    made = run_ops(entry.ops, arrays)
    del arrays  # what is yielded is all that has to stay
    made.reverse()
    for target in entry.targets:
      yield target.path, made.pop()


def _read_ahead(entries: Sequence[Entry], flat: Mapping[Any, Any]) -> Iterator[tuple[Entry, list[Any]]]:
  """Every entry with its arrays. Those of the next one are read meanwhile, unless they are large."""
  with ThreadPoolExecutor(1) as thread:
    ahead: Future[list[Any]] | None = None
    for entry, following in zip(entries, (*entries[1:], None), strict=False):
      found = [_read(entry.sources, flat) if ahead is None else ahead.result()]
      ahead = None
      if following is not None and 0 < _to_read(following, flat) < _AHEAD:
        ahead = thread.submit(_read, following.sources, flat)
      yield entry, found.pop()


def _to_read(entry: Entry, flat: Mapping[Any, Any]) -> int:
  """How many bytes an entry reads from where they are stored."""
  leaves = (flat.get(key(s.path)) for s in entry.sources)
  lazy = (one for one in leaves if hasattr(one, "read") and not hasattr(one, "__array_namespace__"))
  return sum(getattr(one, "nbytes", 0) for one in lazy)


def _read(sources: Sequence[Leaf], flat: Mapping[Any, Any]) -> list[Any]:
  if sources[0].spec == NOTHING:
    return []
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


def _differ(plan: Plan, entry: Entry, target: Leaf, other: Entry) -> Exception:
  where, theirs = (" + ".join(show(s.path) for s in e.sources) for e in (entry, other))
  found = f"differs from what {theirs} has for {show(target.path)}"
  if plan.direction == "linen->nnx":
    return refuse(where, found, "tied leaves that are equal", "remove the tie and give it a place of its own")
  do = "one Linen leaf cannot hold both: make them equal, or share one Variable in the model (migrate.tie_weights)"
  return refuse(where, found, "copies that are equal", do)
