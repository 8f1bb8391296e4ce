"""What the commands have in common: exit codes, checks of the command line, the JSON document."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from migrate.core.report import Finding, MigrateError, refuse
from migrate.example import ExampleSpec

PROVEN, LEFT, WRONG = 0, 1, 2


class WrongCommandError(MigrateError):
  """The command itself was wrong: exit code 2."""


def add_output(command: argparse.ArgumentParser) -> None:
  """The options that every command has."""
  command.add_argument("--json", metavar="FILE", help="write the report there too; - for standard output")
  command.add_argument("--quiet", action="store_true", help="show errors only")


def wrong(where: str, found: str, wanted: str, do: str) -> WrongCommandError:
  """Builds the error of one finding about the command."""
  return WrongCommandError(Finding(where, found, wanted, do))


def check_examples(texts: Sequence[str]) -> None:
  """Refuses what is no example by its text alone; imports nothing of the user's."""
  for text in texts:
    try:
      spec = ExampleSpec.parse(text)
      if spec.location.endswith((".py", ".ipynb")) and not Path(spec.location).is_file():
        raise refuse(text, f"no file {spec.location}", "a Python file", "give its path, from here or absolute")
    except MigrateError as error:
      raise WrongCommandError(*error.findings) from None


def _is_remote(path: str) -> bool:
  return "://" in path


def check_missing(option: str, path: str | None) -> None:
  """Refuses a checkpoint that is not there; remote ones are Orbax's to look for."""
  if path and not _is_remote(path) and not Path(path).exists():
    raise wrong(option, f"no {path}", "a checkpoint", "give the folder that Orbax wrote")


def check_free(option: str, path: str | None, overwrite: bool) -> None:
  """Refuses to write where something is, unless it may be replaced."""
  if path and not overwrite and not _is_remote(path) and Path(path).exists():
    raise wrong(option, f"{path} exists", "a name that is free", "name another, or add --overwrite to replace it")


def check_suffix(path: str | None) -> None:
  """Refuses what is neither .py nor .json."""
  if path and Path(path).suffix not in (".py", ".json"):
    raise wrong("--out", f"{path}", "a name that ends in .py or .json", "name it mapping.py")


def write_json(document: dict[str, Any], target: str | None) -> None:
  """Writes the document to the file, to standard output for `-`, nowhere for None."""
  if target is None:
    return
  text = json.dumps(document, indent=1, sort_keys=False, default=str)
  if target == "-":
    print(text)
    return
  Path(target).parent.mkdir(parents=True, exist_ok=True)
  Path(target).write_text(text + "\n", encoding="utf-8")
