"""Where in a folder an Orbax checkpoint is.

What one save may be: a folder with `_METADATA` (StandardCheckpointer, PyTreeCheckpointer), or before there was one, with
the file `checkpoint`; a CheckpointManager step (`default` or named items inside), or a CheckpointManager root (the latest
step is taken).
"""

from __future__ import annotations

from typing import Any

from migrate.checkpoint.remote import Place, place_of
from migrate.core.report import refuse

METADATA, AGGREGATE = "_METADATA", "checkpoint"
_WHOLE = ("default", "state")


def find_folder(path: str | Place, item: str | None = None) -> tuple[Place, int | None]:
  """The folder that holds the tree, and the step where the path is of a CheckpointManager.

  Raises:
    MigrateError: where there is none, or several and `item` does not name one.
  """
  root = place_of(path)
  if not root.is_dir():
    raise refuse(str(path), "no such folder", "an Orbax checkpoint", "give the folder that holds it")
  if is_tree(root):
    if item is not None and item != root.name:
      do = "leave --item out, or give the folder above"
      raise refuse(str(path), f"is one tree, and has no item {item}", "a checkpoint with items", do)
    step = root.name if root.name.isdecimal() else root.parent.name
    return root, int(step) if step.isdecimal() else None
  folder, items = _items(root)
  if item is not None:
    items = [p for p in items if p.name == item]
  elif len(items) > 1 and any(p.name in _WHOLE for p in items):
    items = [p for p in items if p.name in _WHOLE][:1]
  if is_tree(folder):
    return find_folder(folder, item)[0], step_of(folder)
  if len(items) != 1:
    found = f"items {', '.join(p.name for p in items)}" if items else f"no {METADATA} in it or below"
    do = "give the folder that Orbax wrote; a checkpoint that was cut off has no metadata"
    raise refuse(str(path), found, "one tree of arrays", "name one with --item" if items else do)
  return items[0], step_of(folder)


def find_parts(path: str | Place) -> list[Place]:
  """The items of a step that together are a training state: `params` and others, where none holds all of it."""
  root = place_of(path)
  if not root.is_dir() or is_tree(root):
    return []
  folder, items = _items(root)
  names = {p.name for p in items}
  return items if "params" in names and len(items) > 1 and not is_tree(folder) and not names & set(_WHOLE) else []


def _items(root: Place) -> tuple[Place, list[Any]]:
  """The folder, or that of its latest step, and the trees in it."""
  folders: list[Any] = sorted((p for p in root.iterdir() if p.is_dir()), key=str)
  trees = [p for p in folders if is_tree(p)]
  steps = [p for p in folders if step_of(p) is not None]
  if steps and all(p in steps for p in trees):
    last = max(steps, key=lambda p: step_of(p) or 0)
    return last, [] if is_tree(last) else _items(last)[1]
  return root, trees


def is_tree(folder: Place) -> bool:
  """Whether the folder itself is what one save made."""
  return (folder / METADATA).is_file() or (folder / AGGREGATE).is_file()


def step_of(folder: Place) -> int | None:
  """The number at the end of the folder's name."""
  number = folder.name.rpartition("_")[2]
  return int(number) if number.isascii() and number.isdecimal() else None
