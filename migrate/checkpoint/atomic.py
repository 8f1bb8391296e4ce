"""Destinations that appear when they are whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path as FilePath

from migrate.checkpoint.remote import Place
from migrate.core.report import refuse


def check_destination(source: Place, target: FilePath, overwrite: bool) -> None:
  """Refuses a destination that is the source, holds it or lies in it, exists, or cannot be written."""
  source = source.resolve() if isinstance(source, FilePath) else source
  target = target.absolute()
  real = target.resolve()
  if real == source or source in real.parents or (isinstance(source, FilePath) and real in source.parents):
    raise refuse(str(target), "is the source, or inside it, or around it", "another place", "name another destination")
  if (target.exists() or target.is_symlink()) and not overwrite:
    raise refuse(str(target), "exists", "a destination that is not there yet", "name another one, or pass --overwrite")
  parent = next(p for p in target.parents if p.exists())
  if not parent.is_dir() or not os.access(parent, os.W_OK):
    raise refuse(str(target), f"{parent} cannot be written to", "a writable folder", "name another destination")


@contextlib.contextmanager
def whole_or_nothing(target: FilePath, overwrite: bool = False) -> Iterator[FilePath]:
  """A temporary sibling that takes the target's name when the block ends well, and vanishes when it does not.

  What an earlier process left behind under a temporary name is removed if that process is gone.
  """
  temporary = target.with_name(f".{target.name}.{os.getpid()}.linen2nnx-tmp")
  old = target.with_name(f".{target.name}.{os.getpid()}.linen2nnx-old")
  try:
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    yield temporary
    _sync(temporary)
    if overwrite and (target.exists() or target.is_symlink()):
      os.rename(target, old)
    elif target.exists():
      raise refuse(str(target), "appeared while this ran", "a destination that is not there", "pass --overwrite")
    try:
      os.rename(temporary, target)
    except OSError:
      if old.exists():
        os.rename(old, target)
      raise
    _sync(target.parent)
  except OSError as error:
    said = error.strerror or str(error)
    do = "free some space, or name another destination"
    raise refuse(str(target), f"cannot be written: {said}", "a place with room that may be written to", do) from error
  finally:
    remove(temporary)
    remove(old)


def _sync(path: FilePath) -> None:
  """Has the system write a folder's entries, or a file, to disk."""
  number = os.open(path, os.O_RDONLY)
  try:
    os.fsync(number)
  except OSError:
    pass  # some file systems cannot
  finally:
    os.close(number)


def _sweep(target: FilePath) -> None:
  for left in target.parent.glob(f".{glob_escape(target.name)}.*.linen2nnx-*"):
    number = left.name.split(".")[-2]
    if number.isdecimal() and not _alive(int(number)):
      if left.name.endswith("-old") and not target.exists():
        os.rename(left, target)  # killed between the two renames: the old one is whole
      else:
        remove(left)


def glob_escape(name: str) -> str:
  """The name as a pattern that matches it alone."""
  return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _alive(process: int) -> bool:
  if process == os.getpid():
    return False
  try:
    os.kill(process, 0)
  except ProcessLookupError:
    return False
  except OSError:
    return True
  return True


def remove(path: FilePath) -> None:
  """Deletes a file or a folder, if it is there."""
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path, ignore_errors=True)
  else:
    path.unlink(missing_ok=True)
