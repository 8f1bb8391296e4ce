"""Import spaces: ported files before the original ones, and JAX's configuration carried to another process."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from migrate.core.report import refuse


class OverlayFinder(importlib.abc.MetaPathFinder):
  """Finds `a.b` in `folder/a/b.py` or `folder/a/b/__init__.py`, whatever package `a` came from."""

  def __init__(self, folder: Path):
    self.folder = folder

  def find_spec(
    self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
  ) -> importlib.machinery.ModuleSpec | None:
    """The spec of an overlaid module, None for any other."""
    stem = self.folder.joinpath(*fullname.split("."))
    package, module = stem / "__init__.py", stem.with_name(stem.name + ".py")
    if package.is_file():
      places = [str(stem), *_original_places(fullname, self.folder)]
      return importlib.util.spec_from_file_location(fullname, package, submodule_search_locations=places)
    if module.is_file():
      return importlib.util.spec_from_file_location(fullname, module)
    return None


def _original_places(fullname: str, folder: Path) -> list[str]:
  """Where the original package keeps the submodules and data that were not overlaid."""
  parent, _, name = fullname.rpartition(".")
  around = getattr(sys.modules.get(parent), "__path__", ()) if parent else sys.path
  elsewhere = [p for p in around if not Path(p).resolve().is_relative_to(folder)]
  spec = importlib.machinery.PathFinder.find_spec(name, elsewhere)
  return list(spec.submodule_search_locations or ()) if spec else []


def enter_ported(folder: Path, layout: str) -> None:
  """Puts the ported folder first; for an overlay, each of its files shadows the original module."""
  folder = folder.resolve()
  sys.path.insert(0, str(folder))
  if layout == "overlay":
    sys.meta_path.insert(0, OverlayFinder(folder))


def load_build(folder: Path, name: str) -> Callable[..., Any]:
  """Imports `folder/ported.py` and returns its function `name`. Raises MigrateError where that fails."""
  path = folder / "ported.py"
  if not path.is_file():
    raise refuse(str(path), "no such file", "the file that `linen2nnx port` writes", "run `linen2nnx port` first")
  spec = importlib.util.spec_from_file_location("ported", path)
  assert spec is not None
  assert spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  sys.modules["ported"] = module
  try:
    spec.loader.exec_module(module)
  except Exception as error:
    text = f"{type(error).__name__}: {str(error)[:600]}"
    raise refuse(str(path), f"importing it raised {text}", "ported code that imports", last_frame(error)) from error
  build = getattr(module, name, None)
  if not callable(build):
    raise refuse(str(path), f"no function {name} in it", "a build function for the example", "port again")
  return build


def last_frame(error: BaseException) -> str:
  """`see file:line` of the place that raised, for the last line of a message."""
  trace = error.__traceback__
  while trace is not None and trace.tb_next is not None:
    trace = trace.tb_next
  return f"see {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""


def jax_config() -> dict[str, Any]:
  """JAX's configuration, as far as JSON can hold it."""
  import jax

  plain = (bool, int, float, str, type(None))
  return {k: v for k, v in jax.config.values.items() if isinstance(v, plain)}


def changed_config(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
  """What importing the example changed (libraries turn on x64, or change matmul precision)."""
  return {k: v for k, v in after.items() if k not in before or before[k] != v}


def apply_config(changes: Mapping[str, Any]) -> None:
  """Makes the same changes here. Options that can't be set are left alone."""
  import jax

  for name, value in changes.items():
    try:
      jax.config.update(name, value)
    except (AttributeError, ValueError, TypeError):
      continue
