"""Files whose functions give layers uncalled (`norm = utils.norm_layer(kind)`): they make nothing, so no run tells of them."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from flax import linen as nn


def giving_files(files: Mapping[str, str], included: Callable[[str], bool]) -> dict[str, str]:
  """Further files of a project with functions that speak of layers and that its known files name.

  Args:
    files: the known files, with their modules' names.
    included: whether a module of that name belongs to the project.

  Returns:
    Path -> module name.
  """
  found: dict[str, str] = {}
  queue = list(files.items())
  while queue:
    path, name = queue.pop()
    for function in _named_functions(path, sys.modules.get(name)):
      home = function.__code__.co_filename
      if home not in files and home not in found and included(function.__module__) and speaks_of_layers(function):
        found[home] = function.__module__
        queue.append((home, function.__module__))
  return found


def beside(module: str, files: Mapping[str, str]) -> bool:
  """Whether a module lies where the packages of known files lie (`utils.py` beside `model.py`), and is not installed."""
  folder = _folder(module)
  return folder is not None and folder in {_folder(name) for name in files.values()}


def _folder(module: str) -> Path | None:
  """The folder in which Python finds the top of a module's package; None for what is installed."""
  top = sys.modules.get(module.partition(".")[0])
  file = getattr(top, "__file__", None)
  if file is None:
    return None
  folder = Path(file).parent.parent if hasattr(top, "__path__") else Path(file).parent
  return None if {"site-packages", "dist-packages"} & set(folder.parts) else folder


def speaks_of_layers(function: types.FunctionType) -> bool:
  """Whether a function names a class of layers of Linen's."""
  spoken = _names(function.__code__)
  held = [v for n, v in function.__globals__.items() if n in spoken]
  held += [getattr(v, n, None) for v in held if isinstance(v, types.ModuleType) for n in spoken]
  return any(isinstance(v, type) and issubclass(v, nn.Module) and v.__module__.startswith("flax.") for v in held)


def _named_functions(path: str, module: types.ModuleType | None) -> Iterator[types.FunctionType]:
  """Functions of other files that a file names."""
  try:
    spoken = _names(compile(Path(path).read_text(encoding="utf-8"), path, "exec"))
  except (OSError, SyntaxError, ValueError):
    return
  held = [v for n, v in vars(module).items() if n in spoken] if module is not None else []
  held += [vars(v)[n] for v in held if isinstance(v, types.ModuleType) for n in spoken if n in vars(v)]
  for value in held:
    if inspect.isfunction(value) and Path(value.__code__.co_filename).is_file():
      yield value


def _names(code: types.CodeType) -> set[str]:
  """Every name that a piece of code reads, functions inside it included."""
  inner = [_names(c) for c in code.co_consts if isinstance(c, types.CodeType)]
  return set(code.co_names).union(*inner)
