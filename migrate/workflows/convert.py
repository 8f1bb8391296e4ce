"""Converts a checkpoint of a Linen training state into one that an NNX program restores."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

import numpy as np

import migrate
from migrate.checkpoint.orbax import open_tree, save_tree
from migrate.core.entries import Plan, plan_error
from migrate.core.moments import NOTHING, lift
from migrate.core.paths import Path, show
from migrate.core.plan import make_plan
from migrate.core.report import Finding, refuse
from migrate.core.training import TrainingState, split_state
from migrate.core.translate import read, translate
from migrate.core.tree import spec_of
from migrate.workflows.mapping import load_mapping, mapping_to_json

MANIFEST = "linen2nnx.json"


@dataclasses.dataclass(frozen=True)
class Converted:
  """What a conversion did, or would do.

  Attributes:
    source: the checkpoint that was read.
    destination: what was written; None for a dry run.
    model: the plan of the variables.
    optimizer: the plan of the optimizer state, None where there is none.
    step: the step that was carried, None where there is none.
    nbytes: size of the leaves, in memory.
    seconds: wall clock.
  """

  source: str
  destination: str | None
  model: Plan
  optimizer: Plan | None
  step: int | None
  nbytes: int
  seconds: float

  def to_json(self) -> dict[str, Any]:
    """A plain dict, for reports."""
    optimizer = self.optimizer.to_json() if self.optimizer else None
    return dataclasses.asdict(dataclasses.replace(self, model=None, optimizer=None)) | {
      "model": self.model.to_json(),
      "optimizer": optimizer,
    }  # type: ignore[arg-type]


def convert_checkpoint(
  src: str | os.PathLike[str],
  dst: str | os.PathLike[str],
  mapping: Any = None,
  model_abstract: Any = None,
  optimizer_abstract: Any = None,
  *,
  item: str | None = None,
  overwrite: bool = False,
  dry_run: bool = False,
) -> Converted:
  """Converts an Orbax checkpoint of a Linen training state to `{"model": ..., "optimizer": ...}`.

  Plain Orbax restores the result into `{"model": nnx.state(model, nnx.Not(nnx.RngState)), "optimizer":
  nnx.state(optimizer)}`; the second is there where the source has optimizer state. The source is not touched, and
  the destination appears when it is whole.

  Args:
    src: folder of the checkpoint: a tree, a CheckpointManager step, or a CheckpointManager root (its latest step).
    dst: folder to make.
    mapping: a ModelMapping, or what `migrate.load_mapping` takes.
    model_abstract: the NNX model, live, abstract, or a State; the plan is checked against it where it is given.
    optimizer_abstract: likewise the nnx.Optimizer.
    item: the item of a composite checkpoint.
    overwrite: replace an existing destination.
    dry_run: make and check the plan, write nothing.

  Raises:
    MigrateError: naming everything that is wrong; nothing is then written.
  """
  started = time.perf_counter()
  source, target = FilePath(src).absolute(), FilePath(dst).absolute()
  if not dry_run:
    _check_destination(source, target, overwrite)
  mapping = None if mapping is None else load_mapping(mapping)
  tree = open_tree(source, item)
  state = split_state(tree.leaves, tree.empty)
  plan, optimizer_plan, step = plan_state(state, mapping, model_abstract, optimizer_abstract, tree.step)
  nbytes = sum(leaf.nbytes for leaf in tree.leaves.values())
  done = Converted(str(source), None if dry_run else str(target), plan, optimizer_plan, step, nbytes, 0.0)
  if not dry_run:
    sums: dict[str, str] = {}
    leaves = dict(_translated(state, plan, optimizer_plan, step, sums))
    with whole_or_nothing(target, overwrite) as temporary:
      save_tree(temporary, leaves)
      write_manifest(temporary, manifest(source, done, mapping, sums))
  return dataclasses.replace(done, seconds=time.perf_counter() - started)


def plan_state(
  state: TrainingState, mapping: Any, model: Any, optimizer: Any, step: int | None = None
) -> tuple[Plan, Plan | None, int | None]:
  """The plans of the variables and of the optimizer state, and the step. Raises MigrateError with all findings."""
  model_specs = optimizer_specs = None
  if model is not None or optimizer is not None:
    from migrate.workflows.state import specs, variable_leaves

    model_specs = None if model is None else specs(variable_leaves(model))
    if optimizer is not None:
      optimizer_specs = {p[1:]: s for p, s in specs(variable_leaves(optimizer)).items() if p[0] == "opt_state"}
  plan = make_plan(state.variables, model_specs, mapping, strict=False)
  findings = list(plan.findings)
  for entry in plan.entries:
    if entry.fate == "fresh":
      where = show(entry.targets[0].path)
      findings.append(
        Finding(
          where,
          "is fresh: a checkpoint has no value for it",
          "a source for every target",
          "use migrate.restore, which fills the model and leaves it",
          rule="L2N221",
        )
      )
  optimizer_plan = None
  if state.opt_state is not None:
    optimizer_plan = lift(plan, state.opt_state, optimizer_specs, strict=False)
    findings += optimizer_plan.findings
  if findings:
    raise plan_error(findings)
  return plan, optimizer_plan, _step(state, step)


def _step(state: TrainingState, folder_step: int | None) -> int | None:
  """The step of the state, of the folder, or the largest count of the optimizer, in this order."""
  if state.opt_state is None:
    return None
  if state.step is not None:
    value = np.asarray(read(state.step))
    if value.ndim or value.dtype.kind not in "iu":
      raise refuse(
        "step", str(spec_of(value)), "one whole number", "drop it from the checkpoint, or save it as a number"
      )
    return int(value)
  if folder_step is not None:
    return folder_step
  counts = [
    leaf
    for path, leaf in state.opt_state.items()
    if path[-1] == "count" and leaf != NOTHING and spec_of(leaf).shape == ()
  ]
  if not counts:
    raise refuse(
      "step",
      "the checkpoint has an optimizer state and no step",
      "a step for nnx.Optimizer",
      "save the step beside the optimizer state",
    )
  return max(int(np.asarray(read(leaf))) for leaf in counts)


def _translated(
  state: TrainingState, plan: Plan, optimizer_plan: Plan | None, step: int | None, sums: dict[str, str]
) -> Iterator[tuple[Path, Any]]:
  """Yields the destination's leaves; `sums` gets the checksum of every leaf that is read."""
  variables = {p: Summed(leaf, show(state.origin[p]), sums) for p, leaf in state.variables.items()}
  for path, value in translate(plan, variables):
    yield ("model", *path, "value"), value
  if optimizer_plan is None:
    return
  assert state.opt_state is not None
  moments = {
    p: leaf if leaf == NOTHING else Summed(leaf, show(("opt_state", *p)), sums) for p, leaf in state.opt_state.items()
  }
  for path, value in translate(optimizer_plan, moments):
    yield ("optimizer", "opt_state", *path, "value"), None if value is NOTHING else value
  yield ("optimizer", "step", "value"), np.asarray(step, dtype=np.uint32)


class Summed:
  """A lazy leaf that records the sha256 of its bytes when it is read."""

  def __init__(self, leaf: Any, name: str, sums: dict[str, str]):
    self.leaf, self.name, self.sums = leaf, name, sums
    self.shape, self.dtype = spec_of(leaf).shape, leaf.dtype

  def read(self) -> Any:
    """The array."""
    array = read(self.leaf)
    self.sums[self.name] = checksum(array)
    return array


def checksum(array: Any) -> str:
  """The sha256 of the array's bytes in C order."""
  return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()


def manifest(source: FilePath, done: Converted, mapping: Any, sums: Mapping[str, str]) -> dict[str, Any]:
  """What the destination says of its origin."""
  import flax
  import orbax.checkpoint

  return {
    "format": "linen2nnx.manifest",
    "version": 1,
    "source": str(source),
    "direction": done.model.direction,
    "step": done.step,
    "versions": {
      "linen2nnx": migrate.__version__,
      "flax": flax.__version__,
      "orbax-checkpoint": orbax.checkpoint.__version__,
    },
    "mapping": None if mapping is None else mapping_to_json(mapping),
    "plan": {"model": done.model.to_json(), "optimizer": done.optimizer.to_json() if done.optimizer else None},
    "sha256": dict(sums),
  }


def write_manifest(folder: FilePath, data: Mapping[str, Any]) -> None:
  """Puts the manifest into a checkpoint's folder, where Orbax does not look at it."""
  (folder / MANIFEST).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _check_destination(source: FilePath, target: FilePath, overwrite: bool) -> None:
  if target == source or source in target.parents or target in source.parents:
    raise refuse(
      str(target), "is the source, or inside it, or around it", "a folder of its own", "name another destination"
    )
  if (target.exists() or target.is_symlink()) and not overwrite:
    raise refuse(str(target), "exists", "a destination that is not there yet", "name another one, or pass --overwrite")
  parent = next(p for p in target.parents if p.exists())
  if not parent.is_dir() or not os.access(parent, os.W_OK):
    raise refuse(str(target), f"{parent} cannot be written to", "a writable folder", "name another destination")


@contextlib.contextmanager
def whole_or_nothing(target: FilePath, overwrite: bool) -> Iterator[FilePath]:
  """A temporary sibling that takes the target's name when the block ends well, and vanishes when it does not."""
  target.parent.mkdir(parents=True, exist_ok=True)
  temporary = target.with_name(f".{target.name}.{os.getpid()}.linen2nnx-tmp")
  remove(temporary)
  try:
    yield temporary
    old = target.with_name(f".{target.name}.{os.getpid()}.linen2nnx-old")
    if target.exists() and overwrite:
      os.rename(target, old)
    os.rename(temporary, target)
    remove(old)
  except OSError as error:
    raise refuse(
      str(target),
      f"cannot be written: {error.strerror or error}",
      "a place with room that may be written to",
      "free some space, or name another destination",
    ) from error
  finally:
    remove(temporary)


def remove(path: FilePath) -> None:
  """Deletes a file or a folder, if it is there."""
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path, ignore_errors=True)
  else:
    path.unlink(missing_ok=True)
