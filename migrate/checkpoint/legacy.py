"""Checkpoints of `flax.optim`, the optimizers before Optax: read as a training state of today.

`{"target": params, "state": {"step", "param_states"}}` becomes `{"params", "opt_state", "step"}`, the state being that
of the Optax transformation that continues it to the bit: Adam and its kin `(ScaleByAdamState(count, mu, nu), ...)`,
Momentum and LARS `(TraceState(trace), ...)`. What has no such place keeps its old path and is refused by name later.
"""

from __future__ import annotations

import dataclasses

from migrate.checkpoint.prelinen import linen_names, split_name, surely_old
from migrate.checkpoint.stored import Stored, StoredLeaf
from migrate.core.paths import Path

_RENAMED = "names from before Linen, read as Linen's"
_FIELDS = {"grad_ema": "mu", "grad_sq_ema": "nu", "momentum": "trace"}


def is_legacy(stored: Stored) -> bool:
  """Whether the tree holds an optimizer of `flax.optim`."""
  return _root(stored) is not None


def _root(stored: Stored) -> Path | None:
  """Where target and state are: at the top, or in a field of a training state."""
  for path in stored.leaves:
    for start in (0, 1):
      if path[start : start + 2] == ("state", "step") and len(path) == start + 2:
        root = path[:start]
        if any(p[: start + 1] == (*root, "target") for p in stored.leaves):
          return root
  return None


def modernise(stored: Stored) -> Stored:
  """The tree with today's names; others stay as they are."""
  root = _root(stored)
  if root is None:
    return _with_linen_names(stored)
  size = len(root)
  target, state = (*root, "target"), (*root, "state")
  nested = all(p[size + 1] == "params" for p in stored.leaves if p[: size + 1] == target)
  params = [p[size + 1 + nested :] for p in stored.leaves if p[: size + 1] == target]
  others = [_collection(p)[1:] for p in stored.leaves if p[:1] == ("model_state",)]
  rename = linen_names([*params, *others])
  named = rename or (lambda path: path)
  leaves: dict[Path, StoredLeaf] = {}
  for path, leaf in stored.leaves.items():
    if path[: size + 1] == target:
      leaves[("params", *named(path[size + 1 + nested :]))] = leaf
    elif path == (*state, "step"):
      leaves[("step",)] = leaf
    elif path[: size + 2] == (*state, "param_states"):
      param = path[size + 2 : -1]
      field = _FIELDS.get(str(path[-1]))
      short = param[1:] if nested and param[:1] == ("params",) else param
      leaves[("opt_state", 0, field, *named(short)) if field else path] = leaf
    elif path[:1] == ("model_state",):
      collection, *rest = _collection(path)
      leaves[(collection, *named(tuple(rest)))] = leaf
    elif path != ("step",):
      leaves[path] = leaf
  if any(p[:3] == ("opt_state", 0, "mu") for p in leaves):
    leaves[("opt_state", 0, "count")] = leaves[("step",)]
  numbers = frozenset({("step",)} if (*state, "step") in stored.numbers else ())
  note = "flax.optim, read as Optax state" + (f", {_RENAMED}" if rename else "")
  return dataclasses.replace(stored, leaves=leaves, empty=(), numbers=numbers, note=note)


def _with_linen_names(stored: Stored) -> Stored:
  """Parameters alone whose names are surely from before Linen, under Linen's. Orbax is younger than these."""
  top = {str(p[0]) for p in stored.leaves}
  if stored.format not in ("msgpack", "npz") or ("params" in top and len(top) > 1) or top & {"opt_state", "model"}:
    return stored
  size = 1 if top == {"params"} else 0
  paths = [p[size:] for p in stored.leaves]
  rename = linen_names(paths) if surely_old(paths) else None
  if rename is None:
    return stored
  leaves = {(*p[:size], *rename(p[size:])): leaf for p, leaf in stored.leaves.items()}
  numbers = frozenset((*p[:size], *rename(p[size:])) for p in stored.numbers)
  return dataclasses.replace(
    stored, leaves=leaves, empty=(), numbers=numbers, note=f"{stored.note}; {_RENAMED}".lstrip("; ")
  )


def _collection(path: Path) -> Path:
  """The path of a variable below `model_state`, collection first.

  Before Linen there was one collection, keyed by paths in one string: that of the statistics of BatchNorm.
  """
  below = path[1:]
  at = next((i for i, s in enumerate(below) if isinstance(s, str) and s.startswith("/")), None)
  return below if at is None else ("batch_stats", *split_name(below[at:]))
