"""The parts of a saved training state: variables by collection, optimizer state, step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from migrate.core.moments import NOTHING
from migrate.core.paths import Path, show
from migrate.core.report import refuse

COLLECTIONS = ("params", "batch_stats", "cache", "intermediates", "perturbations")


@dataclasses.dataclass(frozen=True)
class TrainingState:
  """A training state taken apart.

  Attributes:
    variables: `{(collection, ...): leaf}`.
    opt_state: `{path below opt_state: leaf}`, `NOTHING` where an entry is empty; None where there is none.
    step: the leaf of the step, or None.
    nested: whether `params` held a whole variables dict (`params/params/...`).
    origin: the path in the checkpoint of each variable; other parts keep theirs below `opt_state` and `step`.
  """

  variables: dict[Path, Any]
  opt_state: dict[Path, Any] | None
  step: Any
  nested: bool
  origin: dict[Path, Path]


def split_state(leaves: Mapping[Path, Any], empty: tuple[Path, ...] = ()) -> TrainingState:
  """Takes a flat training state apart.

  `params` may be nested once (`params/Dense_0/...`) or twice (`params/params/Dense_0/...`, with other collections
  beside the inner one). What is neither `params`, `opt_state` nor `step` is a collection of its own name.
  Partitioning boxes (`kernel/value` where `value` is alone) are taken off.

  Args:
    leaves: `{path: leaf}`.
    empty: paths of entries without an array (EmptyState, MaskedNode, None).

  Raises:
    MigrateError: where there are no parameters.
  """
  if not any(p[0] == "params" for p in leaves):
    names = ", ".join(sorted({str(p[0]) for p in leaves})[:8]) or "nothing"
    raise refuse(
      "the checkpoint",
      f"has {names} at its top",
      "params (a Linen training state or variables)",
      "give the item that holds the parameters",
    )
  below = {p[1] for p in leaves if p[0] == "params" and len(p) > 1}
  nested = "params" in below and below <= set(COLLECTIONS) | {str(p[0]) for p in leaves} | {"params"}
  boxes = _boxes([*leaves, *empty])
  variables: dict[Path, Any] = {}
  origin: dict[Path, Path] = {}
  opt_state: dict[Path, Any] = {}
  step = None
  for path, leaf in leaves.items():
    short = boxes.get(path, path)
    if path[0] == "opt_state":
      opt_state[short[1:]] = leaf
    elif path == ("step",):
      step = leaf
    else:
      name = short[1:] if nested and path[0] == "params" else short
      if name in variables:
        raise refuse(
          show(path),
          f"{show(origin[name])} is the same variable",
          "one leaf a variable",
          "drop one of the two from the checkpoint",
        )
      variables[name], origin[name] = leaf, path
  for path in empty:
    if path[0] == "opt_state":
      opt_state[boxes.get(path, path)[1:]] = NOTHING
  has_optimizer = any(p[0] == "opt_state" for p in (*leaves, *empty))
  return TrainingState(variables, opt_state if has_optimizer else None, step, nested, origin)


def _boxes(paths: list[Path]) -> dict[Path, Path]:
  """Paths that end in a lone `value`, without it."""
  children: dict[Path, set[Any]] = {}
  for path in paths:
    children.setdefault(path[:-1], set()).add(path[-1])
  return {
    p: p[:-1]
    for p in paths
    if len(p) > 2 and p[-1] == "value" and children[p[:-1]] == {"value"} and p[:-1] not in paths
  }
