"""Leaves that are read shard by shard: each process reads what its devices hold, and no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from migrate.checkpoint.stored import StoredLeaf
from migrate.core.entries import Plan
from migrate.core.op import product
from migrate.core.paths import Path, key
from migrate.core.windows import Window

_AT_ONCE = 1 << 30  # bytes


def by_shards(plan: Plan, leaves: Mapping[Path, Any], targets: Mapping[Path, Any]) -> dict[Path, Any]:
  """The leaves, those of which a sharded target is made as a `Window`, for `on_devices` to read.

  Tied leaves are compared as a whole, and formats that hold an array in one piece (msgpack, npz) are read so.

  Args:
    plan: what becomes of the leaves.
    leaves: of the plan's source side.
    targets: Variables of its target side, whose values have the shardings.
  """
  places = {key(path): path for path in leaves}
  variables = {key(path): variable for path, variable in targets.items()}
  tied = {t.path for e in plan.entries if e.fate == "tie" for t in e.targets}
  out = dict(leaves)
  for entry in plan.entries:
    if entry.fate not in ("same", "move") or any(t.path in tied for t in entry.targets):
      continue
    paths = [path for path in (places.get(key(s.path)) for s in entry.sources) if path is not None]
    if not any(_sharding(variables.get(key(t.path))) for t in entry.targets) or not all(
      isinstance(leaf := leaves[p], StoredLeaf) and leaf.part is not None and leaf.shape for p in paths
    ):
      continue
    out |= {path: Window.of(leaves[path]) for path in paths}
  return out


def on_devices(value: Any, variable: Any) -> Any:
  """What a plan made for a Variable: a `Window` is read now, where it is sharded as a jax array of that sharding."""
  if not isinstance(value, Window):
    return value
  sharding = _sharding(variable)
  if sharding is None:
    return value.read()
  return jax.make_array_from_callback(value.shape, sharding, _reader(value, sharding))


def _reader(value: Window, sharding: jax.sharding.NamedSharding) -> Callable[[Any], np.ndarray]:
  """Reads shards: all of this process at once where they are neighbours, because each read decodes whole chunks."""
  ranges = lambda index: tuple(s.indices(n)[:2] for s, n in zip(index, value.shape, strict=True))
  size = lambda box: product(stop - start for start, stop in box)
  mine = {ranges(index) for index in sharding.addressable_devices_indices_map(value.shape).values()}
  box = tuple((min(r[a][0] for r in mine), max(r[a][1] for r in mine)) for a in range(value.ndim))
  if size(box) <= sum(map(size, mine)) and size(box) * np.dtype(value.dtype).itemsize <= _AT_ONCE:
    whole = value.read(tuple(slice(*r) for r in box))
    starts = [start for start, _ in box]
    return lambda index: whole[tuple(slice(b - s, e - s) for (b, e), s in zip(ranges(index), starts, strict=True))]
  read: dict[Any, np.ndarray] = {}  # replicas of a shard are read once

  def shard(index: Any) -> np.ndarray:
    if ranges(index) not in read:
      read[ranges(index)] = value.read(index)
    return read[ranges(index)]

  return shard


def _sharding(variable: Any) -> jax.sharding.NamedSharding | None:
  """How a Variable is spread over devices, if it is."""
  if variable is None:
    return None
  value = variable.get_value()
  sharding = getattr(value, "sharding", None)
  if not isinstance(sharding, jax.sharding.NamedSharding) or sharding.num_devices < 2:
    return None
  return None if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key) else sharding
