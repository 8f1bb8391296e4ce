"""Where a name of the original packages is found afterwards: in the new package or still in the original."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Set

from migrate.core.report import refuse

DefinedIn = Callable[[str, str], tuple[str, str] | None]


@dataclasses.dataclass(frozen=True)
class Where:
  """Answers for one extraction.

  Attributes:
    keep: ported definitions by original module.
    package_map: original top package to new top package.
    is_package: known modules, and whether each is a package.
    defined_in: the module and name that really define `(module, name)`; None where it is not known.
    runtime_module: whether a full name within these packages is a module that no file here is about (`library.api`).
  """

  keep: Mapping[str, Set[str]]
  package_map: Mapping[str, str]
  is_package: Mapping[str, bool]
  defined_in: DefinedIn
  runtime_module: Callable[[str], bool] | None = None

  def inside(self, module: str) -> bool:
    """Whether a module belongs to a package that is being extracted."""
    return module.partition(".")[0] in self.package_map

  def is_module(self, full: str) -> bool:
    """Whether a full name is a module that is known, or a package around one."""
    if full in self.is_package or full in self.keep:
      return True
    if any(known.startswith(full + ".") for known in (*self.is_package, *self.keep)):
      return True
    return self.runtime_module is not None and self.inside(full) and self.runtime_module(full)

  def ported(self, module: str, name: str) -> tuple[str, str] | None:
    """The original module and name of a ported definition that `module.name` refers to, else None."""
    if not self.inside(module):
      return None
    for found in ((module, name), self.defined_in(module, name)):
      if found is not None and found[1] in self.keep.get(found[0], ()):
        return found
    return None

  def new_module(self, module: str) -> str:
    """The module's name in the new package."""
    top, dot, rest = module.partition(".")
    if top not in self.package_map:
      raise refuse(module, f"its package {top} has no new name", "a new name", f"add {top} to package_map")
    return self.package_map[top] + dot + rest

  def path(self, module: str) -> str:
    """The new file's path, relative to the output folder."""
    base = self.new_module(module).replace(".", "/")
    return f"{base}/__init__.py" if self.is_package.get(module, False) else f"{base}.py"

  def relative(self, here: str, target: str) -> str | None:
    """`..common` as seen from `here`, both original modules; None where they share no package."""
    package = here.split(".") if self.is_package.get(here, False) else here.split(".")[:-1]
    parts = target.split(".")
    shared = 0
    while shared < min(len(package), len(parts)) and package[shared] == parts[shared]:
      shared += 1
    if not shared:
      return None
    return "." * (len(package) - shared + 1) + ".".join(parts[shared:])


def defined_at_runtime(module: str, name: str) -> tuple[str, str] | None:
  """A `DefinedIn` that asks the modules already imported; imports nothing."""
  value = getattr(sys.modules.get(module), name, None)
  found, leaf = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
  if not isinstance(found, str) or not isinstance(leaf, str) or "." in leaf:
    return None
  return (found, leaf) if getattr(sys.modules.get(found), leaf, None) is value else None
