"""Facts in, source out. `migrate.codemod` is this package and also the public function of that name."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
  """Importing a subpackage sets it as an attribute of its parent, over the lazy function of the same name."""

  def __call__(self, *args: Any, **kwargs: Any) -> Any:
    """`migrate.workflows.codemod.codemod`; found by name, because engines do not import workflows."""
    return importlib.import_module("migrate.workflows.codemod").codemod(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
