"""The versions that the tool was made for, checked before anything slow is imported."""

from __future__ import annotations

import importlib.metadata
import re

from migrate.core.report import Finding, MigrateError

LEAST = {"flax": (0, 12), "jax": (0, 8), "orbax-checkpoint": (0, 11, 20), "libcst": (1, 5)}


def numbers(version: str) -> tuple[int, ...]:
  """The leading numbers of a version: `0.12.8.dev1` is (0, 12, 8)."""
  found = re.match(r"\d+(\.\d+)*", version)
  return tuple(int(part) for part in found.group().split(".")) if found else ()


def check_versions(least: dict[str, tuple[int, ...]] | None = None) -> None:
  """Raises MigrateError where a distribution is missing or older than the tool can work with.

  Reads installed metadata only; imports none of the packages.
  """
  findings = []
  for name, wanted in (LEAST if least is None else least).items():
    text = ".".join(map(str, wanted))
    do = f"pip install --upgrade '{name}>={text}'"
    try:
      version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      findings.append(Finding(name, "is not installed", f"{name} {text} or newer", do))
      continue
    if numbers(version) < wanted:
      findings.append(Finding(name, f"version {version} is installed", f"{name} {text} or newer", do))
  if findings:
    raise MigrateError(*findings)
