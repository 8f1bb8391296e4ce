"""What a converted checkpoint says of its origin: the plans, the layout, the checksum of every leaf that was read."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import numpy as np

import migrate
from migrate.checkpoint.remote import Place
from migrate.core.entries import Plan
from migrate.core.report import refuse
from migrate.core.translate import read
from migrate.core.tree import spec_of

NAME = "linen2nnx.json"
FORMAT, VERSION = "linen2nnx.manifest", 1


class Summed:
  """A lazy leaf that records the sha256 of its bytes when it is read."""

  def __init__(self, leaf: Any, name: str, sums: dict[str, str]):
    self.leaf, self.name, self.sums = leaf, name, sums
    self.shape, self.dtype, self.nbytes = spec_of(leaf).shape, leaf.dtype, getattr(leaf, "nbytes", 0)

  def read(self) -> Any:
    """The array."""
    array = read(self.leaf)
    self.sums[self.name] = checksum(array)
    return array


def checksum(array: Any) -> str:
  """The sha256 of dtype, shape and bytes in C order."""
  array = np.asarray(array)
  sum_ = hashlib.sha256(f"{array.dtype.name}{list(array.shape)}".encode())
  sum_.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
  return sum_.hexdigest()


def versions() -> dict[str, str]:
  """What made the checkpoint."""
  out = {"linen2nnx": migrate.__version__}
  for name in ("flax", "jax", "orbax-checkpoint", "tensorstore"):
    try:
      out[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return out


def manifest_path(place: Any) -> Any:
  """Inside a folder, beside a file."""
  return place / NAME if place.is_dir() else place.with_name(f"{place.name}.{NAME}")


def write_manifest(path: FilePath, data: Mapping[str, Any]) -> None:
  """Writes the manifest; Orbax does not look at it."""
  text = json.dumps(
    {"format": FORMAT, "version": VERSION, "versions": versions(), **data}, ensure_ascii=False, indent=1
  )
  path.write_text(text + "\n", encoding="utf-8")


def read_manifest(place: Place) -> dict[str, Any] | None:
  """The manifest of a checkpoint, None where it has none. Raises MigrateError where it is damaged."""
  path = manifest_path(place)
  if not path.is_file():
    return None
  try:
    data = json.loads(path.read_bytes())
  except (OSError, ValueError, RecursionError) as error:
    raise refuse(str(path), f"cannot be read: {error!s:.120}", "a manifest", "remove it, and give --mapping") from error
  if not isinstance(data, dict) or data.get("format") != FORMAT or data.get("version") != VERSION:
    raise refuse(
      str(path), "not a manifest of this release", f"{FORMAT}, version {VERSION}", "remove it, and give --mapping"
    )
  return data


def plans_of(data: Mapping[str, Any]) -> tuple[Plan, Plan | None]:
  """The plans that a manifest holds."""
  plans = data.get("plan")
  if not isinstance(plans, dict):
    raise refuse("manifest", "has no plan", "the plan of the conversion", "remove it, and give --mapping")
  optimizer = plans.get("optimizer")
  return Plan.from_json(plans.get("model")), None if optimizer is None else Plan.from_json(optimizer)
