"""Random state among the leaves of a checkpoint: root keys of a Linen program, keys and counts of NNX streams.

Imports neither jax nor flax.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from migrate.core.declare import ModelMapping, Rule
from migrate.core.paths import Path
from migrate.core.report import refuse
from migrate.core.tree import spec_of

POLICIES = ("drop", "carry", "reseed")
_NAME = re.compile(r"(rng|key|seed)", re.IGNORECASE)
_BECAUSE = {
  "drop": "random state is left out",
  "carry": "the model's streams get keys derived from it",
  "reseed": "the model's streams are seeded anew",
}
_WIDTHS = (2, 4)  # of threefry's keys, and of rbg's


def check_policy(rng: str | None) -> None:
  """Raises MigrateError for what is no policy."""
  if rng is not None and rng not in POLICIES:
    raise refuse("rng", repr(rng), ", ".join(POLICIES), "choose one of them")


def linen_keys(leaves: Mapping[Path, Any], typed: Collection[Path] = ()) -> tuple[Path, ...]:
  """Root keys in a Linen training state: typed ones, and pairs of uint32 in fields named like keys."""
  found = []
  for path, leaf in leaves.items():
    shape, dtype = spec_of(leaf)
    plain = dtype == "uint32" and shape[-1:] and shape[-1] in _WIDTHS
    if path[0] not in ("params", "opt_state") and plain and (path in typed or _NAME.search(str(path[-1]))):
      found.append(path)
  return tuple(found)


def nnx_streams(leaves: Mapping[Path, Any]) -> frozenset[Path]:
  """The paths that hold keys and counts of random streams among the leaves of an NNX state."""
  below: dict[Path, dict[Any, Any]] = {}
  for path, leaf in leaves.items():
    below.setdefault(path[:-1], {})[path[-1]] = leaf
  found: set[Path] = set()
  for parent, members in below.items():
    if set(members) == {"key", "count"}:
      key, count = spec_of(members["key"]), spec_of(members["count"])
      if key.dtype == count.dtype == "uint32" and key.shape[:-1] == count.shape:
        found |= {(*parent, "key"), (*parent, "count")}
  return frozenset(found)


def dropped_keys(keys: tuple[Path, ...], rng: str) -> ModelMapping:
  """Rules for the root keys of the source, which no NNX state has a place for."""
  literal = lambda path: tuple(s.replace("{", "{{").replace("}", "}}") if isinstance(s, str) else s for s in path)
  because = f"a root key of Linen's; {_BECAUSE[rng]}"
  return ModelMapping(tuple(Rule("drop", (literal(p),), (), (), because) for p in keys), "random state")
