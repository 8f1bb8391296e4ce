"""Loads the records of mapping packages: the built-in ones and those that other projects register.

The framework never imports a mapping package statically: packages are named as data, here and by the entry point
group `linen2nnx.mappings`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.resources
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from migrate.core.declare import LayerMapping, OptimizerMapping, TransformMapping, Unsupported
from migrate.core.report import MigrateError, refuse

BUILT_IN = ("mappings",)
GROUP = "linen2nnx.mappings"

Record = TypeVar("Record")


def packages() -> tuple[str, ...]:
  """The names of all mapping packages, built-in ones first.

  An entry point `name = "package"` of the group `linen2nnx.mappings` adds a package.
  """
  found = (point.value.partition(":")[0] for point in importlib.metadata.entry_points(group=GROUP))
  return tuple(dict.fromkeys((*BUILT_IN, *sorted(found))))


def _modules(package: str, room: str) -> Iterator[Any]:
  """The modules of `package.room`, sorted by name; nothing where the package has no such room."""
  name = f"{package}.{room}"
  try:
    folder = importlib.import_module(name)
  except ModuleNotFoundError as error:
    if error.name in (name, package) and package not in BUILT_IN:
      if error.name == package:
        raise refuse(f"entry point group {GROUP}", f"there is no package {package}", "an importable package") from error
      return
    raise
  for info in sorted(pkgutil.iter_modules(folder.__path__, name + "."), key=lambda info: info.name):
    yield importlib.import_module(info.name)


def _records(room: str, attribute: str, kinds: tuple[type, ...]) -> Iterator[tuple[str, Any]]:
  """Each record under `attribute` or its plural, with the module it is in."""
  for package in packages():
    for module in _modules(package, room):
      single = getattr(module, attribute, None)
      for record in (*(() if single is None else (single,)), *getattr(module, attribute + "S", ())):
        if not isinstance(record, kinds):
          raise refuse(
            module.__name__, f"{attribute} is a {type(record).__name__}", " or ".join(k.__name__ for k in kinds)
          )
        yield module.__name__, record


def _unique(found: Iterator[tuple[str, Any]], key: Callable[[Any], str]) -> dict[str, Any]:
  """The records by name. Raises MigrateError where two have the same."""
  records: dict[str, Any] = {}
  where: dict[str, str] = {}
  for module, record in found:
    name = key(record)
    if name in records:
      raise _twice(name, where[name], module)
    records[name], where[name] = record, module
  return records


def _twice(name: str, first: str, second: str) -> MigrateError:
  return refuse(
    f"{first} and {second}", f"both have a record for {name}", "one record", "Remove one of them or its package."
  )


@functools.cache
def _all_layers() -> dict[str, LayerMapping | Unsupported]:
  return _unique(_records("layers", "MAPPING", (LayerMapping, Unsupported)), lambda r: r.linen)


def load_layers() -> dict[str, LayerMapping]:
  """Every layer record by Linen's full name, `flax.linen.Dense`. Raises MigrateError on duplicates."""
  return {name: record for name, record in _all_layers().items() if isinstance(record, LayerMapping)}


def load_unsupported() -> dict[str, Unsupported]:
  """The Linen classes that no record can carry, by full name."""
  return {name: record for name, record in _all_layers().items() if isinstance(record, Unsupported)}


@functools.cache
def load_alternatives() -> dict[str, tuple[LayerMapping, ...]]:
  """Records for other NNX classes that hold the same weights (`ALTERNATIVES` of a file), by Linen's full name."""
  found: dict[str, tuple[LayerMapping, ...]] = {}
  for package in packages():
    for module in _modules(package, "layers"):
      for record in getattr(module, "ALTERNATIVES", ()):
        found[record.linen] = (*found.get(record.linen, ()), record)
  return found


@functools.cache
def load_optimizers() -> dict[str, OptimizerMapping]:
  """Every optimizer state record by the state's full name, `optax.ScaleByAdamState`."""
  return _unique(_records("optimizers", "MAPPING", (OptimizerMapping,)), lambda r: r.state)


@functools.cache
def load_transforms() -> dict[str, TransformMapping]:
  """Every transform record by Linen's full name, `flax.linen.scan`."""
  return _unique(_records("transforms", "MAPPING", (TransformMapping,)), lambda r: r.linen)


@functools.cache
def template_source(name: str) -> str:
  """The source of template file `name` (`gru`), from the first mapping package that has it."""
  for package in packages():
    try:
      folder = importlib.resources.files(f"{package}.templates")
    except ModuleNotFoundError:
      continue
    if (file := folder / f"{name}.py").is_file():
      return file.read_text(encoding="utf-8")
  raise refuse(f"template:{name}", f"no mapping package has templates/{name}.py")
