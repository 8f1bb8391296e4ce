"""Loads the records of mapping packages: the built-in ones and those that other projects register.

The framework never imports a mapping package statically: packages are named as data, here and by the entry point
group `linen2nnx.mappings`. A package has rooms `layers`, `optimizers`, `transforms` and `models`; a file of the
first three holds `MAPPING` (or several in `MAPPINGS`), and a layer file may add `ALTERNATIVES`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

from migrate.core.declare import LayerMapping, ModelMapping, OptimizerMapping, TransformMapping, Unsupported
from migrate.core.report import refuse

BUILT_IN = ("mappings",)
GROUP = "linen2nnx.mappings"
KINDS = (LayerMapping, ModelMapping, OptimizerMapping, TransformMapping, Unsupported)


@functools.cache
def packages() -> tuple[str, ...]:
  """The mapping packages: the built-in one, and those of the entry points, sorted."""
  found = (point.value.partition(":")[0] for point in importlib.metadata.entry_points(group=GROUP))
  return tuple(dict.fromkeys((*BUILT_IN, *sorted(found))))


def modules(package: str) -> Iterator[Any]:
  """Every module below a package, imported; `templates` hold source that is copied, never imported here."""
  try:
    root = importlib.import_module(package)
  except ImportError as error:
    raise refuse(
      package, f"does not import: {error}", "an importable mapping package", "reinstall what registered it"
    ) from error
  yield root
  for info in pkgutil.walk_packages(getattr(root, "__path__", ()), f"{package}."):
    if "templates" not in info.name.split("."):
      yield importlib.import_module(info.name)


def declarations(package: str) -> dict[str, Any]:
  """`{module:NAME: declaration}` of a package: values at the top of a module, and in tuples there."""
  out: dict[str, Any] = {}
  for module in modules(package):
    for name, value in vars(module).items():
      if name.startswith("_"):
        continue
      if isinstance(value, KINDS):
        out[f"{module.__name__}:{name}"] = value
      elif isinstance(value, tuple):
        out |= {f"{module.__name__}:{name}[{i}]": v for i, v in enumerate(value) if isinstance(v, KINDS)}
  return out


def _records(attribute: str, kinds: tuple[type, ...]) -> Iterator[tuple[str, Any]]:
  """Each record of these kinds under `attribute` or its plural, with its place."""
  for package in packages():
    for place, value in declarations(package).items():
      name = place.partition(":")[2].partition("[")[0]
      if name in (attribute, attribute + "S") and isinstance(value, kinds):
        yield place, value


def _unique(found: Iterator[tuple[str, Any]], name_of: Callable[[Any], str]) -> dict[str, Any]:
  """The records by name. Raises MigrateError where two have the same."""
  records: dict[str, Any] = {}
  places: dict[str, str] = {}
  for place, record in found:
    name = name_of(record)
    if name in records and records[name] is not record:
      raise refuse(
        f"{places[name]} and {place}", f"both declare {name}", "one record", "remove one of them, or its package"
      )
    records[name], places[name] = record, places.get(name, place)
  return records


@functools.cache
def _all_layers() -> dict[str, LayerMapping | Unsupported]:
  return _unique(_records("MAPPING", (LayerMapping, Unsupported)), lambda record: record.linen)


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
  for _, record in _records("ALTERNATIVE", (LayerMapping,)):
    found[record.linen] = (*found.get(record.linen, ()), record)
  return found


@functools.cache
def load_optimizers() -> dict[str, OptimizerMapping]:
  """Every optimizer state record by the state's full name, `optax.ScaleByAdamState`."""
  return _unique(_records("MAPPING", (OptimizerMapping,)), lambda record: record.state)


@functools.cache
def load_transforms() -> dict[str, TransformMapping]:
  """Every transform record by Linen's full name, `flax.linen.scan`."""
  return _unique(_records("MAPPING", (TransformMapping,)), lambda record: record.linen)


@functools.cache
def models() -> dict[str, ModelMapping]:
  """Every registered model mapping by name. Raises MigrateError where two have one name."""
  every = ((place, value) for package in packages() for place, value in declarations(package).items())
  return _unique((p for p in every if isinstance(p[1], ModelMapping) and p[1].name), lambda record: record.name)


def find_model(name: str) -> ModelMapping | None:
  """The registered model mapping of that name."""
  return models().get(name)


def load_template(name: str) -> Any:
  """The module of template file `name`, from the first mapping package that has it, for use without a port."""
  for package in packages():
    if importlib.util.find_spec(f"{package}.templates.{name}") is not None:
      return importlib.import_module(f"{package}.templates.{name}")
  raise refuse(f"template:{name}", f"no mapping package has templates/{name}.py")


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
