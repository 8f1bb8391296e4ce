"""Checkpoints straight into live NNX objects, and live NNX objects into what a Linen program restores."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path as FilePath
from typing import Any

import jax
import numpy as np
from flax import serialization

from migrate.checkpoint.atomic import check_destination, remove, whole_or_nothing
from migrate.checkpoint.detect import FORMATS, open_checkpoint, write_checkpoint
from migrate.checkpoint.orbax import write_orbax
from migrate.checkpoint.remote import RemotePath, place_of
from migrate.checkpoint.upload import check_remote, uploaded
from migrate.core.declare import ModelMapping
from migrate.core.entries import Plan, plan_error
from migrate.core.paths import Path, key
from migrate.core.plan import make_plan
from migrate.core.report import refuse
from migrate.core.training import TrainingState, is_nnx, split_linen, split_nnx
from migrate.core.translate import read, translate
from migrate.core.tree import NOTHING, flatten
from migrate.workflows.convert_forward import plan_state, saved_step
from migrate.workflows.mapping import load_mapping
from migrate.workflows.random_leaves import check_policy, dropped_keys, linen_keys, nnx_streams
from migrate.workflows.randomness import rng_variables, roots_of, seeded
from migrate.workflows.shards import by_shards, on_devices
from migrate.workflows.state import check_types, optimizer_to_linen, specs, to_linen, variable_leaves, write_values


def restore(
  path: str | os.PathLike[str],
  model: Any,
  optimizer: Any = None,
  mapping: Any = None,
  *,
  item: str | None = None,
  allow_optimizer_change: bool = False,
  rng: str = "drop",
  seed: int = 0,
) -> Any:
  """Fills an NNX model, and its optimizer, from a Linen or an NNX checkpoint of any format.

  Args:
    path: Orbax (tree, step, or CheckpointManager root), msgpack, safetensors or npz.
    model: an nnx.Module, live or abstract; leaves take the shardings that it has, and each process reads the shards
      of its own devices, through joins, splits and transpositions too. Targets that the mapping calls `fresh` are
      left alone.
    optimizer: an nnx.Optimizer to fill from the checkpoint's optimizer state and step.
    mapping: a ModelMapping, or what `migrate.load_mapping` takes; None where all names are kept.
    item: the item of a composite checkpoint.
    allow_optimizer_change: as for `migrate.convert`.
    rng: what becomes of the model's random state: `drop` leaves it alone, `carry` takes keys and counts from an NNX
      checkpoint, or derives keys from the root keys of a Linen one; `reseed` derives them from `seed`.
    seed: of `reseed`.

  Returns:
    The model, or (model, optimizer) where an optimizer was given.

  Raises:
    MigrateError: naming everything that does not fit. Nothing is changed then.
  """
  check_policy(rng)
  stored = open_checkpoint(path, item)
  targets = variable_leaves(model)
  streams = rng_variables(model)
  random: list[tuple[Path, Any]] = []
  opt_targets = {} if optimizer is None else variable_leaves(optimizer)
  if is_nnx(stored.leaves):
    state = split_nnx(stored.leaves, stored.empty)
    if rng == "carry":
      targets |= streams
    else:
      dropped = nnx_streams(state.variables)
      state = dataclasses.replace(state, variables={p: v for p, v in state.variables.items() if p not in dropped})
    plan, opt_plan = _plan_same(state, targets, opt_targets)
    step = None if state.step is None else int(np.asarray(read(state.step)))
  else:
    state = split_linen(stored.leaves, stored.empty)
    if optimizer is None:
      state = dataclasses.replace(state, opt_state=None)
    mapping = None if mapping is None else load_mapping(mapping)
    keys = linen_keys(state.variables, [p for p in state.variables if state.place(p) in stored.keys])
    if rng == "carry":
      random = list(seeded(model, roots_of({p: state.variables[p] for p in keys}, model)).items())
    if keys:
      mapping = (mapping or ModelMapping(), dropped_keys(keys, rng))
    plan, opt_plan, _ = plan_state(state, mapping, model, optimizer, fresh=True, allow_change=allow_optimizer_change)
    check_types(plan, targets)
    step, _ = saved_step(state, stored.step)
  if optimizer is not None and (opt_plan is None or step is None):
    raise refuse(
      str(path), "has no optimizer state", "opt_state and step", "restore the model alone: leave optimizer out"
    )
  variables = {("model", *p): v for p, v in state.variables.items()} if is_nnx(stored.leaves) else state.variables
  values = _read(plan, variables, targets)
  opt_values: list[tuple[Path, Any]] = []
  if opt_plan is not None:
    below = {p[1:]: v for p, v in opt_targets.items() if p[0] == "opt_state"}
    opt_values = [(("opt_state", *p), v) for p, v in _read(opt_plan, _opt_source(state, stored.leaves), below)]
    opt_values.append((("step",), np.asarray(step).astype(opt_targets[("step",)].get_value().dtype)))
  if rng == "reseed":
    random = list(seeded(model, {"default": jax.random.key(seed)}).items())
  write_values(targets, values)
  write_values(streams, random)
  write_values(opt_targets, opt_values)
  return model if optimizer is None else (model, optimizer)


def _read(plan: Plan, leaves: dict[Path, Any], targets: dict[Path, Any]) -> list[tuple[Path, Any]]:
  """The values of the targets; of those that are spread over devices only what this process holds is read."""
  variables = {key(p): v for p, v in targets.items()}
  made = translate(plan, by_shards(plan, leaves, targets))
  return [(p, on_devices(v, variables.get(key(p)))) for p, v in made if v is not NOTHING]


def _opt_source(state: TrainingState, leaves: Any) -> dict[Path, Any]:
  opt_state = state.opt_state or {}
  if not is_nnx(leaves):
    return opt_state
  return {("opt_state", *p): v for p, v in opt_state.items() if v is not NOTHING}


def _plan_same(
  state: TrainingState, targets: dict[Path, Any], opt_targets: dict[Path, Any]
) -> tuple[Plan, Plan | None]:
  """The plans from an NNX checkpoint: every path is its own."""
  plan = make_plan({("model", *p): v for p, v in state.variables.items()}, specs(targets), None, strict=False)
  findings = list(plan.findings)
  opt_plan = None
  if opt_targets and state.opt_state is not None:
    below = {p[1:]: v for p, v in specs(opt_targets).items() if p[0] == "opt_state"}
    opt_plan = make_plan(_opt_source(state, {("model", "")}), below, None, strict=False)
    findings += opt_plan.findings
  if findings:
    raise plan_error(findings)
  return plan, opt_plan


def save_linen(
  path: str | os.PathLike[str],
  model: Any,
  optimizer: Any = None,
  mapping: Any = None,
  *,
  opt_state: Any = None,
  step: int | None = None,
  format: str = "orbax",
  partitioning: bool = False,
  overwrite: bool = False,
) -> None:
  """Writes what a Linen program restores: `{"step", "params", "opt_state", "batch_stats"...}`.

  Args:
    path: what to make.
    model: the NNX model.
    optimizer: its nnx.Optimizer, whose state becomes the Optax state for Linen parameters.
    mapping: the mapping that leads from Linen to this model.
    opt_state: what the transformation's `init` gives for the Linen parameters; only where the optimizer's own
      transformation cannot be asked (masks and labels that want an nnx.State).
    step: the step to write, the optimizer's where None.
    format: `orbax`, `msgpack`, `safetensors` or `npz`.
    partitioning: write boxes, as for `migrate.to_linen`, for a Linen program whose parameters have them.
    overwrite: replace an existing destination.

  Raises:
    MigrateError: where something does not fit; nothing is then written.
  """
  if format not in FORMATS:
    raise refuse(format, "no such format", ", ".join(FORMATS), "choose one of them")
  target = place_of(path)
  if isinstance(target, RemotePath):
    if format != "orbax" or jax.process_count() > 1:
      found = f"{format}, from {jax.process_count()} processes, into an object store"
      raise refuse(str(path), found, "orbax, from one process", "save it locally, and copy it there")
    check_remote(FilePath(), target, overwrite)
  else:
    check_destination(target.parent / ".linen2nnx-none", target, overwrite)
  tree: dict[str, Any] = to_linen(model, mapping, partitioning=partitioning)
  if optimizer is not None:
    if opt_state is None:
      opt_state = _linen_state(optimizer, tree.get("params", {}))
    tree["opt_state"] = optimizer_to_linen(optimizer, opt_state, mapping)
    step = int(optimizer.step.get_value()) if step is None else step
  if step is not None:
    tree["step"] = step
  if isinstance(target, RemotePath):
    with uploaded(target) as temporary:
      write_orbax(temporary / "whole", tree)
      for one in (temporary / "whole").iterdir():
        one.rename(temporary / one.name)
    return
  if jax.process_count() > 1:
    _save_together(target, tree, format, overwrite)
    return
  with whole_or_nothing(target, overwrite) as temporary:
    if format == "orbax":
      write_orbax(temporary, tree)
    elif format == "msgpack":
      temporary.write_bytes(serialization.to_bytes(tree))
    else:
      write_checkpoint(format, temporary, flatten(serialization.to_state_dict(tree)))


def _save_together(target: FilePath, tree: Any, format: str, overwrite: bool) -> None:
  """Writes from several processes, each its own shards; Orbax commits when all are done."""
  from jax.experimental import multihost_utils

  if format != "orbax":
    do = "save with format='orbax', and convert that in one process"
    raise refuse(format, f"one file, from {jax.process_count()} processes", "orbax", do)
  multihost_utils.sync_global_devices("linen2nnx: the destination was looked at")
  if jax.process_index() == 0 and overwrite:
    remove(target)
  multihost_utils.sync_global_devices("linen2nnx: the destination is free")
  write_orbax(target, tree)


def _linen_state(optimizer: Any, params: Any) -> Any:
  try:
    return jax.eval_shape(optimizer.tx.init, params)
  except Exception as error:
    said = f"its transformation does not take Linen parameters: {type(error).__name__}: {error!s:.120}"
    do = "give opt_state=tx.init(params) of the Linen program's own transformation"
    raise refuse("optimizer", said, "a transformation for both sides", do) from error
