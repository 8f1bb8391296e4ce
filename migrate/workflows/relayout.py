"""A checkpoint of an older layout of an NNX model into the model of today: other names, `.value` or not, old RNG state."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from migrate.checkpoint.detect import open_checkpoint
from migrate.core.declare import ModelMapping, fresh, move
from migrate.core.entries import Plan, plan_error
from migrate.core.moments import lift
from migrate.core.paths import Path
from migrate.core.plan import make_plan
from migrate.core.report import refuse
from migrate.core.training import is_nnx, split_nnx
from migrate.core.translate import read, translate
from migrate.core.tree import NOTHING, spec_of
from migrate.workflows.state import specs, variable_leaves, write_values


def restore_nnx(
  path: str | os.PathLike[str],
  model: Any,
  optimizer: Any = None,
  *,
  rename: Mapping[str, str] | ModelMapping | None = None,
  new: Sequence[str] = (),
  item: str | None = None,
) -> Any:
  """Fills an NNX model, and its optimizer, from a checkpoint of the same model as it was laid out before.

  Variables may be stored as `{"value": array}` or plainly, alone or below `model`. Keys and counts of random streams
  are left as the model has them: their structure differs between releases of flax (one stream for each name in 0.10).

  Args:
    path: what an NNX program saved.
    model: an nnx.Module, live or abstract.
    optimizer: its nnx.Optimizer, for `{"model", "optimizer"}` checkpoints.
    rename: `{old attribute path: new}`, patterns as in mappings (`{"encoder/{i}/**": "layers/{i}/**"}`); or a
      ModelMapping with the old paths below `params`, where leaves are also joined, split or dropped.
    new: patterns of attributes that the old model did not have: they keep what they hold.
    item: the item of a composite checkpoint.

  Returns:
    The model, or (model, optimizer) where an optimizer was given.

  Raises:
    MigrateError: naming everything that does not fit. Nothing is changed then.
  """
  stored = open_checkpoint(path, item)
  leaves, empty = dict(stored.leaves), stored.empty
  if not is_nnx(leaves):
    leaves, empty = {("model", *p): v for p, v in leaves.items()}, tuple(("model", *p) for p in empty)
  state = split_nnx(leaves, empty)
  targets = variable_leaves(model)
  streams = _streams(state.variables)
  kept = {p: v for p, v in state.variables.items() if p not in streams}
  plan = make_plan({("params", *p): v for p, v in kept.items()}, specs(targets), _mapping(rename, new), strict=False)
  findings = list(plan.findings)
  opt_plan: Plan | None = None
  opt_targets = {} if optimizer is None else variable_leaves(optimizer)
  if optimizer is not None:
    if state.opt_state is None or state.step is None:
      do = "restore the model alone: leave optimizer out"
      raise refuse(str(path), "has no optimizer state", "opt_state and step", do)
    below = {p[1:]: s for p, s in specs(opt_targets).items() if p[0] == "opt_state"}
    if not findings:
      opt_plan = lift(plan, state.opt_state, below, strict=False)
      findings += [f for f in opt_plan.findings if f.rule != "L2N206" or not new]
  if findings:
    raise plan_error(findings)
  values = list(translate(plan, {("params", *p): v for p, v in kept.items()}))
  opt_values: list[tuple[Path, Any]] = []
  if opt_plan is not None:
    found = translate(opt_plan, state.opt_state)
    opt_values = [(("opt_state", *p), v) for p, v in found if v is not NOTHING]
    step = np.asarray(read(state.step)).astype(opt_targets[("step",)].get_value().dtype)
    opt_values.append((("step",), step))
  write_values(targets, values)
  write_values(opt_targets, opt_values)
  return model if optimizer is None else (model, optimizer)


def _mapping(rename: Any, new: Sequence[str]) -> ModelMapping:
  rules = tuple(fresh(text, because="the old model did not have it") for text in new)
  if isinstance(rename, ModelMapping):
    return ModelMapping((*rename.rules, *rules))
  return ModelMapping((*(move(f"params/{old}", to) for old, to in (rename or {}).items()), *rules))


def _streams(leaves: Mapping[Path, Any]) -> set[Path]:
  """Keys and counts of random streams: they come in pairs, of whole numbers or typed keys."""
  below: dict[Path, dict[Any, Path]] = {}
  for path in leaves:
    below.setdefault(path[:-1], {})[path[-1]] = path
  out: set[Path] = set()
  for members in below.values():
    if {"key", "count"} <= set(members):
      kinds = [spec_of(leaves[members[n]]).dtype for n in ("key", "count")]
      if all(kind.startswith(("uint", "key<")) for kind in kinds):
        out |= {members["key"], members["count"]}
  return out
