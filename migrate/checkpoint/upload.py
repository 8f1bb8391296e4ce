"""Checkpoints that are written into an object store, where nothing can be renamed: the commit object comes last."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path as FilePath

from migrate.checkpoint.orbax_folder import METADATA
from migrate.checkpoint.remote import COMMITTED, Place, RemotePath
from migrate.core.report import refuse

# there as long as a checkpoint is written: what a killed process left is known by it
WRITING = "linen2nnx.writing"


def check_remote(source: Place, target: RemotePath, overwrite: bool) -> None:
  """Refuses a destination that is the source, holds it or lies in it, or where something else is already."""
  if isinstance(source, RemotePath):
    one, other = f"{source}/", f"{target}/"
    if one.startswith(other) or other.startswith(one):
      raise refuse(
        str(target), "is the source, or inside it, or around it", "another place", "name another destination"
      )
  keys = set(target.names())
  if not keys or (WRITING in keys and COMMITTED not in keys):
    return
  if not overwrite:
    raise refuse(str(target), "exists", "a destination that is not there yet", "name another one, or pass --overwrite")
  if not keys & {METADATA, COMMITTED}:
    raise refuse(str(target), "holds objects that are no checkpoint", "a checkpoint to replace", "name another one")


@contextlib.contextmanager
def uploaded(target: RemotePath) -> Iterator[FilePath]:
  """A local folder whose files go into the object store when the block ends well; all goes when it does not.

  What was there is removed first. Arrays may be written into `target` itself meanwhile.
  """
  with tempfile.TemporaryDirectory(suffix=".linen2nnx-tmp") as folder:
    target.remove()
    (target / WRITING).write_bytes(b"")
    try:
      yield FilePath(folder)
      files = {str(p.relative_to(folder)): p for p in sorted(FilePath(folder).rglob("*")) if p.is_file()}
      last = files.pop(METADATA, None)
      files.pop(COMMITTED, None)
      for name, file in (*files.items(), *(() if last is None else ((METADATA, last),))):
        (target / name).write_bytes(file.read_bytes())
      (target / COMMITTED).write_bytes(f"Checkpoint commit was successful to {target}".encode())
    except BaseException:
      with contextlib.suppress(Exception):  # what went wrong first is what to tell
        target.remove()
      raise
    (target / WRITING).remove_object()
