"""Converts checkpoints between Linen training states and NNX states, in either direction and any format."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path as FilePath
from typing import Any, Literal

from migrate.checkpoint.atomic import check_destination
from migrate.checkpoint.detect import open_checkpoint
from migrate.checkpoint.processes import Processes
from migrate.checkpoint.remote import RemotePath, place_of
from migrate.checkpoint.stored import Stored
from migrate.checkpoint.upload import check_remote
from migrate.core.entries import Plan
from migrate.core.paths import Path, key, pattern
from migrate.core.report import refuse
from migrate.workflows.convert_back import plan_back
from migrate.workflows.convert_forward import plan_forward
from migrate.workflows.convert_write import Job, write
from migrate.workflows.random_leaves import check_policy

_SUFFIXES = {".npz": "npz", ".safetensors": "safetensors", ".msgpack": "msgpack"}


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
    format: of the destination.
    notes: what the user should know.
  """

  source: str
  destination: str | None
  model: Plan
  optimizer: Plan | None
  step: int | None
  nbytes: int
  seconds: float
  format: str = "orbax"
  notes: tuple[str, ...] = ()

  def to_json(self) -> dict[str, Any]:
    """A plain dict, for reports."""
    plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
    optimizer = self.optimizer.to_json() if self.optimizer else None
    return plain | {"model": self.model.to_json(), "optimizer": optimizer, "notes": list(self.notes)}


def convert(
  src: str | os.PathLike[str],
  dst: str | os.PathLike[str] | None,
  mapping: Any = None,
  model: Any = None,
  optimizer: Any = None,
  *,
  to: Literal["nnx", "linen"] = "nnx",
  format: str | None = None,
  only: Sequence[str] = (),
  item: str | None = None,
  dry_run: bool = False,
  overwrite: bool = False,
  copy: bool = False,
  checksum: bool = False,
  allow_optimizer_change: bool = False,
  rng: str | None = None,
  seed: int = 0,
  build: Callable[[], Any] | None = None,
) -> Converted:
  """Converts a checkpoint; see `convert_checkpoint` for what it makes of a Linen training state.

  Under `jax.distributed`, call it in all processes alike: each reads and writes its share of the leaves.

  Args:
    src: a checkpoint of any format: Orbax (tree, step, or CheckpointManager root), msgpack, safetensors, npz.
    dst: what to make; may be None for a dry run.
    mapping: a ModelMapping, or what `migrate.load_mapping` takes. With `to="linen"` the manifest's is the default.
    model: the NNX model, live, abstract, or a State; the plan is checked against it where it is given.
    optimizer: likewise the nnx.Optimizer, or its Optax transformation alone.
    to: `nnx` reads Linen and writes `{"model", "optimizer"}`; `linen` is the way back.
    format: `orbax`, `msgpack`, `safetensors` or `npz`; by the suffix of `dst` where None, else orbax.
    only: path patterns of the source leaves to convert; the others are left out.
    item: the item of a composite checkpoint.
    dry_run: make and check the plan, write nothing.
    overwrite: replace an existing destination.
    copy: write every leaf anew. Else leaves that are only renamed share their data files with an OCDBT source on
      the same file system (hard links of write-once files); they are then not read, and have no checksum.
    checksum: read them all the same, for their checksums.
    allow_optimizer_change: go on where the mapping joins or turns parameters that the optimizer looks at as a whole
      (LAMB, LARS, adafactor, Muon...): the state is carried, and further updates are not those of the Linen run.
    rng: what becomes of random state. `drop` leaves it out, root keys of the Linen training state too; `carry` writes
      keys for every stream of the model, derived from these root keys, and `reseed` from `seed`, with counts of zero.
      None is `drop`, and refuses root keys that no rule names. Linen holds no random state: `to="linen"` leaves it out.
    seed: of `reseed`.
    build: makes the live NNX model. The leaves that only it has are computed and written: Variables that the mapping
      calls `fresh` (their moments are zeros), and arrays that the model holds outside Variables. No other parameter
      is allocated. Without it a mapping with `fresh` targets is refused.

  Raises:
    MigrateError: naming everything that is wrong; nothing is then written.
  """
  processes = Processes() if dry_run else Processes.here()
  with processes.guarded():
    return _convert(
      processes,
      src,
      dst,
      mapping,
      model,
      optimizer,
      to,
      format,
      only,
      item,
      dry_run,
      overwrite,
      copy,
      checksum,
      allow_optimizer_change,
      rng,
      seed,
      build,
    )


def _convert(
  processes: Processes,
  src: Any,
  dst: Any,
  mapping: Any,
  model: Any,
  optimizer: Any,
  to: str,
  format: str | None,
  only: Sequence[str],
  item: str | None,
  dry_run: bool,
  overwrite: bool,
  copy: bool,
  checksum: bool,
  allow_optimizer_change: bool,
  rng: str | None,
  seed: int,
  build: Callable[[], Any] | None,
) -> Converted:
  started = time.perf_counter()
  check_policy(rng)
  source = place_of(src)
  target = None if dst is None or dry_run else place_of(dst)
  if target is None and not dry_run:
    raise refuse("destination", "none", "a path", "name it, or make it a dry run")
  form = format or _SUFFIXES.get("" if dst is None else FilePath(dst).suffix, "orbax")
  if isinstance(target, RemotePath):
    if form != "orbax":
      raise refuse(str(target), f"{form}, one file in an object store", "orbax", "write it locally, and copy it there")
    check_remote(source, target, overwrite)
  elif target is not None:
    check_destination(source, target, overwrite)
  stored = open_checkpoint(source, item)
  total = stored.nbytes
  if only:
    stored = _only(stored, only)
  if to == "linen":
    work = plan_back(stored, mapping, model, optimizer, allow_change=allow_optimizer_change)
  elif to == "nnx":
    work = plan_forward(
      stored,
      mapping,
      model,
      optimizer,
      form,
      partial=bool(only),
      build=build,
      allow_change=allow_optimizer_change,
      rng=rng,
      seed=seed,
    )
  else:
    raise refuse("to", repr(to), "nnx or linen", "choose one")
  done = Converted(
    str(source),
    str(target) if target else None,
    work.model,
    work.optimizer,
    work.step,
    stored.nbytes,
    0.0,
    form,
    work.notes,
  )
  if target is not None:
    work = dataclasses.replace(work, processes=processes)
    job = Job(str(source), target, overwrite, form, work, stored, total, copy, checksum)
    done = dataclasses.replace(done, notes=(*done.notes, write(job, processes)))
  return dataclasses.replace(done, seconds=time.perf_counter() - started)


def convert_checkpoint(
  src: str | os.PathLike[str],
  dst: str | os.PathLike[str],
  mapping: Any = None,
  model_abstract: Any = None,
  optimizer_abstract: Any = None,
  **options: Any,
) -> Converted:
  """Converts a checkpoint of a Linen training state to `{"model": ..., "optimizer": ...}`.

  Plain Orbax restores the result into `{"model": nnx.state(model, nnx.Not(nnx.RngState)), "optimizer":
  nnx.state(optimizer)}`; the second is there where the source has optimizer state. The source is not touched, and
  the destination appears when it is whole. Options are those of `convert`.
  """
  return convert(src, dst, mapping, model_abstract, optimizer_abstract, **options)


def plan_checkpoint(src: str | os.PathLike[str], mapping: Any = None, model: Any = None, **options: Any) -> Converted:
  """The plan of a conversion, from metadata alone; nothing is written. Options are those of `convert`."""
  return convert(src, None, mapping, model, dry_run=True, **options)


def _only(stored: Stored, only: Sequence[str]) -> Stored:
  patterns = [pattern(text) for text in only]

  def wanted(path: Path) -> bool:
    return any(one.match(key(path)) is not None for one in patterns)

  kept = {p: leaf for p, leaf in stored.leaves.items() if wanted(p)}
  if not kept:
    raise refuse(", ".join(only), "matches no leaf", "a pattern of leaves of the checkpoint", "see `linen2nnx inspect`")
  return dataclasses.replace(stored, leaves=kept, empty=tuple(p for p in stored.empty if wanted(p)))
