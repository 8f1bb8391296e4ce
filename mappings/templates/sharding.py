"""Sharding by logical axis names, which does nothing where no mesh is set."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax.core import spmd


def with_logical_constraint(x: Any, names: Sequence[str | None], *_: Any, **__: Any) -> Any:
  """Constrains an array by the logical axis rules in force; without a mesh or rules it is returned as it is."""
  mesh = jax.sharding.get_abstract_mesh()
  rules = dict(spmd.get_logical_axis_rules())
  if mesh.empty or not rules:
    return x
  spec = jax.sharding.PartitionSpec(*[rules.get(n) if n is not None else None for n in names])
  return jax.lax.with_sharding_constraint(x, spec)


def with_logical_partitioning(initializer: Callable[..., Any], names: Sequence[str | None], *_: Any, **__: Any) -> Any:
  """The initializer; axis names belong on the Variable in NNX (`nnx.with_partitioning`), which wants a mesh."""
  del names
  return initializer
