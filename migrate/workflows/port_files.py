"""Files of a port: written, and imported for a while."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_files(folder: Path, files: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> None:
  """Writes sources, and arrays as `ported_values.npz`."""
  for name, text in files.items():
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
  if arrays:
    np.savez(folder / "ported_values.npz", **dict(arrays))  # pyright: ignore


@contextlib.contextmanager
def importing(folder: Path, hide: Iterable[str] = ()) -> Iterator[Callable[[str], Any]]:
  """Gives `import_module` with the folder first on `sys.path`; what comes from the folder is forgotten afterwards.

  Args:
    folder: what was ported.
    hide: modules that are imported already and that an overlay there has too.
  """
  hidden = {name: sys.modules.pop(name) for name in hide if name in sys.modules}
  finders = list(sys.meta_path)
  before = set(sys.modules)
  sys.path.insert(0, str(folder))
  written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
  importlib.invalidate_caches()
  try:
    yield importlib.import_module
  finally:
    sys.dont_write_bytecode = written
    sys.path.remove(str(folder))
    for name in set(sys.modules) - before:
      file = getattr(sys.modules[name], "__file__", None) or ""
      if file.startswith(str(folder)):
        del sys.modules[name]
    sys.meta_path[:] = finders
    sys.modules.update(hidden)
    for name, module in hidden.items():
      parent, _, last = name.rpartition(".")
      if parent in sys.modules:
        setattr(sys.modules[parent], last, module)


_OVERLAY = '''
import importlib.abc
import importlib.util
import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent
_FILES = {files}


class _Overlay(importlib.abc.MetaPathFinder):
  """Finds the ported files first; everything else of their packages stays where it is."""

  def find_spec(self, name, path=None, target=None):
    if name not in _FILES:
      return None
    places = list(path or ()) if _FILES[name].endswith("__init__.py") else None
    if places is not None:
      places = [str(Path(p) / name.rpartition(".")[2]) for p in path or sys.path]
    return importlib.util.spec_from_file_location(name, _FOLDER / _FILES[name], submodule_search_locations=places)


sys.meta_path.insert(0, _Overlay())
'''


def prelude(text: str, files: Mapping[str, str]) -> str:
  """`ported.py` of an overlay: ported files are found before the originals."""
  head, _, rest = text.partition("\n\n")
  listing = "{\n" + "".join(f'  "{m}": "{f}",\n' for m, f in sorted(files.items())) + "}"
  lines = [f"{line}  # noqa: E402" if line.startswith(("import ", "from ")) else line for line in rest.split("\n")]
  return head + "\n" + _OVERLAY.replace("{files}", listing) + "\n" + "\n".join(lines)
