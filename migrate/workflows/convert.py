"""Converts checkpoints between Linen training states and NNX states, in either direction and any format."""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath
from typing import Any, Literal

from migrate.checkpoint.atomic import check_destination, remove, whole_or_nothing
from migrate.checkpoint.by_reference import is_ocdbt, link_tree, why_not
from migrate.checkpoint.detect import open_checkpoint, write_checkpoint
from migrate.checkpoint.references import Reference
from migrate.checkpoint.remote import Place, RemotePath, place_of
from migrate.checkpoint.stored import Stored
from migrate.checkpoint.streaming import may_copy, stream_tree
from migrate.checkpoint.upload import check_remote, uploaded
from migrate.core.entries import Plan
from migrate.core.paths import Path, key, pattern, show
from migrate.core.report import refuse
from migrate.workflows.convert_back import plan_back
from migrate.workflows.convert_forward import Work, plan_forward
from migrate.workflows.manifest import checksum as sum_of
from migrate.workflows.manifest import manifest_path, write_manifest
from migrate.workflows.mapping import mapping_to_json
from migrate.workflows.random_leaves import check_policy

# of the source's bytes, from which on its data files are copied as they are, with what nothing needs any more
_MOSTLY = 0.9
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
    done = _write(target, overwrite, form, work, done, stored, total, copy, checksum)
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


def _write(
  target: Place,
  overwrite: bool,
  form: str,
  work: Work,
  done: Converted,
  stored: Stored,
  total: int,
  copy: bool,
  checked: bool,
) -> Converted:
  sums: dict[str, str] = {}
  taken: dict[str, tuple[str, ...]] = {}
  reason = "a copy was asked for" if copy else why_not(stored, target) if form == "orbax" else f"{form} is one file"
  linked = not reason
  beside = None if form == "orbax" else manifest_path(target)
  remote = isinstance(target, RemotePath)
  with uploaded(target) if remote else whole_or_nothing(target, overwrite) as temporary:
    if linked:
      reason = _link(temporary, stored, _noted(work.leaves(form, sums, linked=True), taken))
      linked = not reason
    if reason and form == "orbax":
      taken.clear()
      local = not remote and isinstance(stored.place, FilePath)
      if local and is_ocdbt(stored) and work.shared_bytes() > _MOSTLY * total:
        link_tree(stored, temporary, _noted(work.leaves(form, sums, linked=True), taken), copy=True)
      else:
        leaves = work.leaves(form, sums, linked=may_copy(stored) and not checked)
        stream_tree(temporary, _noted(leaves, taken), stored, target if remote else None)
    elif reason:
      write_checkpoint(form, temporary, dict(work.leaves(form, sums)))
    unread = dict.fromkeys(origin for origins in taken.values() for origin in origins)
    if checked and unread:
      sums |= _sums(stored, set(unread))
    data = {
      "source": done.source,
      "direction": work.model.direction,
      "destination_format": form,
      "step": work.step,
      "mapping": None if work.mapping is None else mapping_to_json(work.mapping),
      "plan": {"model": work.model.to_json(), "optimizer": work.optimizer.to_json() if work.optimizer else None},
      "layout": work.layout,
      "sha256": sums,
      "unread": [name for name in unread if name not in sums],
      "references": {name: list(origins) for name, origins in taken.items()},
      "linked": linked,
    }
    if beside is None:
      write_manifest(manifest_path(temporary), data)
  if beside is not None:
    with whole_or_nothing(beside, True) as temporary:
      write_manifest(temporary, data)
  shared = f"{len(unread)} leaves share their data files with the source"
  note = shared if linked else f"every leaf was written: {reason}"
  return dataclasses.replace(done, notes=(*done.notes, note))


def _sums(stored: Stored, names: set[str]) -> dict[str, str]:
  """The checksums of leaves that the conversion itself had no need to read."""
  leaves = {show(p): leaf for p, leaf in stored.leaves.items() if show(p) in names}
  with ThreadPoolExecutor(4) as threads:  # reading and checksums release the interpreter lock
    return dict(zip(leaves, threads.map(lambda leaf: sum_of(leaf.read()), leaves.values()), strict=True))


def _noted(leaves: Iterable[tuple[Path, Any]], taken: dict[str, tuple[str, ...]]) -> Iterator[tuple[Path, Any]]:
  """The leaves, `taken` getting the origins of each that is not read."""
  for path, leaf in leaves:
    if isinstance(leaf, Reference):
      taken[show(path)] = leaf.origins
    yield path, leaf


def _link(folder: FilePath, stored: Stored, leaves: Iterable[tuple[Path, Any]]) -> str:
  """Makes the checkpoint by reference; why not, where the file system does not link."""
  try:
    link_tree(stored, folder, leaves)
  except OSError as error:
    if error.errno not in (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EACCES):
      raise
    remove(folder)
    return f"the file system does not link: {error.strerror}"
  return ""
