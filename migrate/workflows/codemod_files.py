"""Files that a codemod looks at, and how they are written: whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from migrate.core.report import refuse

IGNORED = {"__pycache__", "node_modules", "site-packages", "build", "dist"}
KINDS = (".py", ".pyi", ".ipynb")


def gather(paths: Iterable[str | Path], kinds: tuple[str, ...] = KINDS) -> list[str]:
  """The files below the paths, each once. Raises MigrateError for a path that is not there.

  Hidden folders, environments and build output are passed over; a file that is named itself is not.
  """
  found: dict[str, None] = {}
  for path in map(Path, paths):
    if path.is_file():
      found[str(path)] = None
    elif path.is_dir():
      found |= dict.fromkeys(_below(path, kinds))
    else:
      raise refuse(str(path), "no such file or folder", "Python files, or folders of them", "give a path that exists")
  return list(found)


def _below(folder: Path, kinds: tuple[str, ...]) -> list[str]:
  found: list[str] = []
  for base, folders, files in os.walk(folder):
    folders[:] = sorted(f for f in folders if f not in IGNORED and not f.startswith(".") and not _environment(base, f))
    found += [os.path.join(base, f) for f in sorted(files) if f.endswith(kinds)]
  return found


def _environment(base: str, name: str) -> bool:
  return os.path.exists(os.path.join(base, name, "pyvenv.cfg"))


def write_whole(path: Path, text: str) -> None:
  """Writes a file under a temporary name and renames it; its permissions stay. Raises MigrateError."""
  path = path.resolve()  # a link stays a link
  temporary = ""
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    number, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".linen2nnx", dir=path.parent)
    with os.fdopen(number, "wb") as file:
      file.write(text.encode("utf-8"))
      file.flush()
      os.fsync(file.fileno())
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(temporary, path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~mask)
    os.replace(temporary, path)
  except OSError as error:
    if temporary:
      Path(temporary).unlink(missing_ok=True)
    said = f"cannot be written: {error.strerror or error}"
    raise refuse(str(path), said, "a file that may be written", "change its permissions") from error
