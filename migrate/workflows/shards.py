"""Leaves that are read shard by shard: each process reads what its devices hold, and no more."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from migrate.checkpoint.stored import StoredLeaf
from migrate.core.entries import Plan
from migrate.core.paths import Path, key


@dataclasses.dataclass(frozen=True)
class ShardedLeaf:
  """A stored leaf that is read as a jax array of that sharding."""

  leaf: StoredLeaf
  sharding: jax.sharding.NamedSharding

  @property
  def shape(self) -> tuple[int, ...]:
    """Its shape."""
    return self.leaf.shape

  @property
  def dtype(self) -> Any:
    """Its NumPy dtype."""
    return self.leaf.dtype

  def read(self) -> jax.Array:
    """The array; replicas of a shard are read once."""
    read: dict[str, np.ndarray] = {}

    def shard(index: Any) -> np.ndarray:
      if str(index) not in read:
        assert self.leaf.part is not None
        read[str(index)] = self.leaf.part(index)
      return read[str(index)]

    return jax.make_array_from_callback(self.leaf.shape, self.sharding, shard)


def by_shards(plan: Plan, leaves: Mapping[Path, Any], targets: Mapping[Path, Any]) -> dict[Path, Any]:
  """The leaves, those that are only renamed and whose targets are sharded as `ShardedLeaf`.

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
    if entry.ops or entry.fate not in ("same", "move") or len(entry.sources) != 1 or entry.targets[0].path in tied:
      continue
    path, variable = places.get(key(entry.sources[0].path)), variables.get(key(entry.targets[0].path))
    leaf = None if path is None else leaves[path]
    if path is None or variable is None or not isinstance(leaf, StoredLeaf) or leaf.part is None or not leaf.shape:
      continue
    value = variable.get_value()
    sharding = getattr(value, "sharding", None)
    typed = jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key)
    if isinstance(sharding, jax.sharding.NamedSharding) and sharding.num_devices > 1 and not typed:
      out[path] = ShardedLeaf(leaf, sharding)
  return out
