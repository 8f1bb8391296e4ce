"""The parts of a saved training state, Linen's or NNX's: variables, optimizer state, step."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from migrate.core.paths import Path, show
from migrate.core.report import refuse
from migrate.core.tree import NOTHING

COLLECTIONS = ("params", "batch_stats", "cache", "intermediates", "perturbations")
# names that are no module's at the top of a checkpoint
_NOT_MODULES = {*COLLECTIONS, "opt_state", "step", "target", "state", "model_state", "model", "optimizer", "variables"}


@dataclasses.dataclass(frozen=True)
class TrainingState:
  """A training state taken apart.

  Attributes:
    variables: Linen `{(collection, ...): leaf}`, or NNX `{attribute path: leaf}`.
    opt_state: `{path below opt_state: leaf}`, `NOTHING` where an entry is empty; None where there is none.
    step: the leaf of the step, or None.
    origin: the path in the checkpoint of what is called otherwise here: `params/a`, `opt_state/...`, `step`.
  """

  variables: dict[Path, Any]
  opt_state: dict[Path, Any] | None
  step: Any
  origin: dict[Path, Path]

  def place(self, path: Path) -> Path:
    """The path in the checkpoint of `params/a`, `opt_state/0/count`, `step`."""
    return self.origin.get(path, path)


def is_nnx(leaves: Collection[Path]) -> bool:
  """Whether these are the paths of `{"model": ..., "optimizer": ...}`."""
  return bool(leaves) and {p[0] for p in leaves} <= {"model", "optimizer"} and any(p[0] == "model" for p in leaves)


def split_nnx(leaves: Mapping[Path, Any], empty: Collection[Path] = (), ends: bool | None = None) -> TrainingState:
  """Takes `{"model", "optimizer": {"opt_state", "step"}}` apart; `value` at the end of every path is taken off.

  Beside paths that end in `value` the others are arrays that a model holds outside Variables. They are left out:
  its constructor makes them. `ends` says whether Variables end in `value`, where it is known.
  """
  ends = _ends_in_value(leaves) if ends is None else ends
  variables: dict[Path, Any] = {}
  opt_state: dict[Path, Any] = {}
  step = None
  for path, leaf in (*leaves.items(), *((p, NOTHING) for p in empty)):
    at = _value_at(path) if ends else None
    short = path if at is None else path[:at] + path[at + 1 :]
    if ends and at is None and leaf is not NOTHING and path[0] == "model":
      continue
    if short[0] == "model":
      if leaf is not NOTHING:
        variables[short[1:]] = leaf
    elif short[1:2] == ("opt_state",):
      opt_state[short[2:]] = leaf
    elif short == ("optimizer", "step"):
      step = leaf
    else:
      raise refuse(
        show(path), "is neither opt_state nor step", "the state of nnx.Optimizer", "save nnx.state(optimizer)"
      )
  return TrainingState(variables, opt_state if any(p[0] == "optimizer" for p in leaves) else None, step, {})


def _ends_in_value(leaves: Collection[Path]) -> bool:
  """Whether Variables are `{"value": array}` here, as nnx.State is saved, and not plain arrays."""
  if ("optimizer", "step", "value") in leaves or ("optimizer", "step") in leaves:
    return ("optimizer", "step") not in leaves
  siblings: dict[Path, set[Any]] = {}
  for path in leaves:
    siblings.setdefault(path[:-1], set()).add(path[-1])
  ending = [p for p in leaves if (at := _value_at(p)) is not None and siblings.get(p[:at], {"value"}) == {"value"}]
  return 2 * len(ending) > len(leaves)


def _value_at(path: Path) -> int | None:
  """Where `value` stands: at the end, or before the numbers of a list that a Variable holds."""
  at = len(path) - 1
  while at > 0 and str(path[at]).isdecimal():
    at -= 1
  return at if path[at] == "value" else None


def with_value(path: Path, model: Collection[Path]) -> Path:
  """The path of a moment with `value` after the part that mirrors a path of `model`, else at the end."""
  for end in range(len(path), 0, -1):
    if not str(path[end - 1]).isdecimal() and end < len(path) - 1:
      break
    if any(path[start:end] in model for start in range(end)):
      return (*path[:end], "value", *map(int, path[end:]))
  return (*path, "value")


def split_linen(leaves: Mapping[Path, Any], empty: Collection[Path] = ()) -> TrainingState:
  """Takes a flat Linen training state apart.

  `params` may be nested once (`params/Dense_0/...`) or twice (`params/params/Dense_0/...`, with other collections
  beside the inner one). What is neither `params`, `opt_state` nor `step` is a collection of its own name.
  Partitioning boxes (`kernel/value` where `value` is alone) are taken off. A tree that is nothing but parameters, with
  modules at its top, is read as `params/...`.

  Args:
    leaves: `{path: leaf}`.
    empty: paths of entries without an array (EmptyState, MaskedNode, None).

  Raises:
    MigrateError: where there are no parameters.
  """
  if is_bare(leaves):
    bare = split_linen({("params", *p): leaf for p, leaf in leaves.items()})
    places: dict[Path, Path] = {("params", *p): p for p in leaves}
    origin = {name: places.get(bare.place(name), name) for name in bare.variables}
    return TrainingState(bare.variables, None, None, origin)
  if not any(p[0] == "params" for p in leaves):
    names = ", ".join(sorted({str(p[0]) for p in leaves})[:8]) or "nothing"
    do = "give the item that holds the parameters"
    raise refuse("the checkpoint", f"has {names} at its top", "params (a Linen training state or variables)", do)
  below = {p[1] for p in leaves if p[0] == "params" and len(p) > 1}
  nested = "params" in below and below <= {*COLLECTIONS, *(str(p[0]) for p in leaves)}
  boxes = _boxes([*leaves, *empty])
  variables: dict[Path, Any] = {}
  opt_state: dict[Path, Any] = {}
  origin: dict[Path, Path] = {}
  step = None
  for path, leaf in leaves.items():
    name = boxes.get(path, path)
    if path[0] == "opt_state":
      opt_state[name[1:]] = leaf
    elif path == ("step",):
      step = leaf
    else:
      name = name[1:] if nested and path[0] == "params" else name
      if name in variables:
        found = f"{show(origin.get(name, name))} is the same variable"
        raise refuse(show(path), found, "one leaf a variable", "drop one of the two from the checkpoint")
      variables[name] = leaf
    if name != path:
      origin[name] = path
  for path in empty:
    if path[0] == "opt_state":
      name = boxes.get(path, path)
      opt_state[name[1:]] = NOTHING
      if name != path:
        origin[name] = path
  has_optimizer = any(p[0] == "opt_state" for p in (*leaves, *empty))
  return TrainingState(variables, opt_state if has_optimizer else None, step, origin)


def is_bare(leaves: Collection[Path]) -> bool:
  """Whether these are parameters alone, their modules at the top."""
  return bool(leaves) and not any("params" in p or p[0] in _NOT_MODULES or type(p[0]) is int for p in leaves)


def _boxes(paths: list[Path]) -> dict[Path, Path]:
  """Paths that end in a lone `value`, without it."""
  children: dict[Path, set[Any]] = {}
  for path in paths:
    children.setdefault(path[:-1], set()).add(path[-1])
  return {p: p[:-1] for p in paths if len(p) > 2 and p[-1] == "value" and children[p[:-1]] == {"value"}}
