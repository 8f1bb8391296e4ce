"""Writes what a conversion has planned: by reference where it can be, else leaf by leaf; in one process or several."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath
from typing import Any

from migrate.checkpoint.atomic import remove, whole_or_nothing
from migrate.checkpoint.by_reference import is_ocdbt, link_tree, why_not
from migrate.checkpoint.detect import write_checkpoint
from migrate.checkpoint.processes import Elsewhere, Processes, place_for_shares
from migrate.checkpoint.references import Reference
from migrate.checkpoint.remote import Place, RemotePath, place_of
from migrate.checkpoint.stored import Stored
from migrate.checkpoint.streaming import may_copy, stream_share, stream_tree
from migrate.checkpoint.upload import uploaded
from migrate.core.paths import Path, show
from migrate.core.report import refuse
from migrate.workflows.convert_forward import Work
from migrate.workflows.manifest import checksum as sum_of
from migrate.workflows.manifest import manifest_path, write_manifest
from migrate.workflows.mapping import mapping_to_json

# of the source's bytes, from which on its data files are copied as they are, with what nothing needs any more
_MOSTLY = 0.9


@dataclasses.dataclass(frozen=True)
class Job:
  """What is to be written, where and how; the fields are arguments of `convert`."""

  source: str
  target: Place
  overwrite: bool
  form: str
  work: Work
  stored: Stored
  total: int
  copy: bool
  checked: bool


def write(job: Job, processes: Processes) -> str:
  """Writes the checkpoint, together with all other processes, and says how. Raises MigrateError."""
  if processes.count > 1 and job.form != "orbax":
    found = f"{job.form}, one file, from {processes.count} processes"
    raise refuse(str(job.target), found, "orbax", "convert in one process")
  return _write_share(job, processes) if processes.index else _write(job, processes)


def _write(job: Job, processes: Processes) -> str:
  form, target, stored = job.form, job.target, job.stored
  sums: dict[str, str] = {}
  taken: dict[str, tuple[str, ...]] = {}
  reason = "a copy was asked for" if job.copy else why_not(stored, target) if form == "orbax" else f"{form} is one file"
  remote = isinstance(target, RemotePath)
  local = not remote and isinstance(stored.place, FilePath)
  copied = bool(reason) and local and is_ocdbt(stored) and job.work.shared_bytes() > _MOSTLY * job.total
  linked = not reason
  work = dataclasses.replace(job.work, linked=linked or copied)
  beside = None if form == "orbax" else manifest_path(target)
  with uploaded(target) if remote else whole_or_nothing(target, job.overwrite) as temporary:
    shares = place_for_shares(target if remote else temporary, stored.place)
    processes.gather({"shares": str(shares), "linked": work.linked})

    def others() -> Sequence[Place]:
      for said in processes.gather({"sums": {}}):
        sums.update(said["sums"])
      return [shares / str(i) for i in range(1, processes.count)]

    if linked:
      reason = _link(temporary, stored, _noted(work.leaves(form, sums, linked=True), taken), processes, others)
      linked = not reason
      work = dataclasses.replace(work, linked=linked)
    if reason and form == "orbax":
      taken.clear()
      leaves = _noted(work.leaves(form, sums, linked=copied or (may_copy(stored) and not job.checked)), taken)
      if copied:
        link_tree(stored, temporary, leaves, copy=True, others=others)
      else:
        stream_tree(temporary, leaves, stored, target if remote else None, others)
    elif reason:
      write_checkpoint(form, temporary, dict(work.leaves(form, sums)))
    unread = list(dict.fromkeys(origin for origins in taken.values() for origin in origins))
    if job.checked:
      sums |= _sums(stored, unread, processes)
    data = {
      "source": job.source,
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
  processes.gather({})
  return (
    f"{len(unread)} leaves share their data files with the source" if linked else f"every leaf was written: {reason}"
  )


def _write_share(job: Job, processes: Processes) -> str:
  """What the other processes do: each writes its own leaves into a store of its own, which the first one merges."""
  start = processes.gather({})[0]
  work, sums = dataclasses.replace(job.work, linked=start["linked"]), {}
  leaves = work.leaves(job.form, sums, linked=start["linked"] or (may_copy(job.stored) and not job.checked))
  stream_share(place_of(start["shares"]) / str(processes.index), leaves, job.stored)
  processes.gather({"sums": sums})
  if job.checked:
    _sums(job.stored, [], processes)
  processes.gather({})
  return f"process {processes.index} wrote its share"


def _sums(stored: Stored, unread: Sequence[str], processes: Processes) -> dict[str, str]:
  """The checksums of leaves that the conversion itself had no need to read: each process reads some of them."""
  wanted = set(processes.gather({"unread": list(unread)})[0]["unread"][processes.index :: processes.count])
  leaves = {show(p): leaf for p, leaf in stored.leaves.items() if show(p) in wanted}
  with ThreadPoolExecutor(4) as threads:  # reading and checksums release the interpreter lock
    found = dict(zip(leaves, threads.map(lambda leaf: sum_of(leaf.read()), leaves.values()), strict=True))
  return {name: one for said in processes.gather({"sums": found}) for name, one in said["sums"].items()}


def _noted(leaves: Iterable[tuple[Path, Any]], taken: dict[str, tuple[str, ...]]) -> Iterator[tuple[Path, Any]]:
  """The leaves, `taken` getting the origins of each that is not read."""
  for path, leaf in leaves:
    one = leaf.leaf if isinstance(leaf, Elsewhere) else leaf
    if isinstance(one, Reference):
      taken[show(path)] = one.origins
    yield path, leaf


def _link(
  folder: FilePath, stored: Stored, leaves: Iterable[tuple[Path, Any]], processes: Processes, others: Any
) -> str:
  """Makes the checkpoint by reference; why not, where the file system does not link."""
  try:
    link_tree(stored, folder, leaves, others=others)
  except OSError as error:
    if error.errno not in (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EACCES):
      raise
    if processes.count > 1:
      said = f"the file system does not link: {error.strerror}"
      raise refuse(str(folder.parent), said, "one that does, in several processes", "pass copy=True") from error
    remove(folder)
    return f"the file system does not link: {error.strerror}"
  return ""
