"""Which format a checkpoint has, and opening and writing it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from migrate.checkpoint.legacy import modernise
from migrate.checkpoint.remote import RemotePath, place_of
from migrate.checkpoint.stored import Stored, listed
from migrate.core.paths import Path
from migrate.core.report import refuse

FORMATS = ("orbax", "msgpack", "safetensors", "npz")


def detect(path: str | os.PathLike[str]) -> str:
  """The format of what is at `path`, by what is in it. Raises MigrateError where it is none of them."""
  place = place_of(path)
  if isinstance(place, RemotePath):
    if not place.is_dir() and place.is_file():
      do = "copy it to a local disk with the store's own tool, and give its path"
      raise refuse(str(path), "one file in an object store", "an Orbax checkpoint, or a local file", do)
    return "orbax"
  if place.is_dir():
    return "msgpack" if _last_file(place) else "orbax"
  try:
    with place.open("rb") as file:
      head = file.read(16)
  except OSError as error:
    raise refuse(str(path), error.strerror or str(error), "a checkpoint", "give its folder or file") from error
  if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
    return "npz"
  if len(head) >= 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 40:
    return "safetensors"
  if head and (0x80 <= head[0] <= 0x8F or head[0] in (0xDE, 0xDF)):
    return "msgpack"
  raise refuse(str(path), "of no known format", ", ".join(FORMATS), "give the checkpoint's folder or file")


def _last_file(folder: FilePath) -> FilePath | None:
  """The latest of the files that `flax.training.checkpoints` writes into a folder, which has no folders beside them."""
  if not folder.is_dir():
    return None
  steps = {p: re.fullmatch(r".*_([0-9]+)(?:\.0)?", p.name) for p in folder.iterdir()}
  files = {p: int(match[1]) for p, match in steps.items() if match and p.is_file() and p.suffix in ("", ".0")}
  if not files or any(p.is_dir() for p in steps):
    return None
  return max(files, key=lambda p: files[p])


def open_checkpoint(path: str | os.PathLike[str], item: str | None = None) -> Stored:
  """The tree of a checkpoint of any format, without reading its arrays. Raises MigrateError.

  An optimizer of `flax.optim` is given as the Optax state that continues it.
  """
  return modernise(_open(path, item))


def _open(path: str | os.PathLike[str], item: str | None) -> Stored:
  form, place = detect(path), place_of(path)
  if form == "orbax" or isinstance(place, RemotePath):
    from migrate.checkpoint.orbax import open_tree

    return open_tree(place, item)
  if form == "msgpack":
    from migrate.checkpoint.msgpack import open_msgpack

    return open_msgpack(_last_file(place) or place)
  if form == "safetensors":
    from migrate.checkpoint.safetensors import open_safetensors

    return open_safetensors(place)
  from migrate.checkpoint.npz import open_npz

  return open_npz(place)


def write_checkpoint(form: str, place: FilePath, leaves: Mapping[Path, Any]) -> None:
  """Writes `{path: array, number or None}`; a level of integer keys becomes a list where the format has lists."""
  if form == "orbax":
    from migrate.checkpoint.orbax import write_orbax

    write_orbax(place, listed(leaves))
  elif form == "msgpack":
    from migrate.checkpoint.msgpack import write_msgpack

    write_msgpack(place, listed(leaves))
  elif form == "safetensors":
    from migrate.checkpoint.safetensors import write_safetensors

    write_safetensors(place, leaves)
  elif form == "npz":
    from migrate.checkpoint.npz import write_npz

    write_npz(place, leaves)
  else:
    raise refuse(form, "no such format", ", ".join(FORMATS), "choose one of them")
