"""What is written for one file and was read in another: the `__init__` of a class may need names of the file of a function."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from migrate.codemod.imports import Names
from migrate.codemod.site import Site
from migrate.codemod.source import Source

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class Abroad:
  """Reading in another file, mixed into `Unit`."""

  @contextlib.contextmanager
  def reading_in(self: Unit, source: Source, names: Names) -> Iterator[None]:
    """While active, text comes from another file."""
    saved = self.source, self.names
    self.source, self.names = source, names
    try:
      yield
    finally:
      self.source, self.names = saved

  def at_home(self: Unit, site: Site) -> contextlib.AbstractContextManager[None]:
    """Where the construction was read."""
    return self.reading_in(*site.home) if site.home is not None else contextlib.nullcontext()

  def brought(self: Unit, text: str) -> str:
    """A module-level name of the file being read as the class's own file spells it, imported there."""
    if self.source is self.own_source or self.in_factory is not None:
      return text
    root, dot, rest = text.partition(".")
    full = self.names.resolve(root)
    if full is None or full.startswith("flax.linen"):
      return text  # a builtin, or what is spelled without Linen anyway
    own = self.names_of(self.own_source)
    if own.resolve(root) == full:
      return text
    module, _, name = full.rpartition(".")
    spelled = root
    if own.resolve(root) is not None or root in self.own_source.bound:
      spelled = f"{self.names.module_name.rpartition('.')[2]}_{root}"
    if full in sys.modules:
      plain = f"import {full}" if spelled == full else f"import {full} as {spelled}"
      self.need_import(plain if not module or spelled != name else f"from {module} import {name}")
    else:
      self.need_import(f"from {module} import {name}" + (f" as {spelled}" if spelled != name else ""))
    return spelled + dot + rest
