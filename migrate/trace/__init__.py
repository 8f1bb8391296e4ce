"""Runs a Linen model abstractly and records what it does.

`migrate.trace` is this package and also the public function of that name, so the package can be called.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
  """Importing a subpackage sets it as an attribute of its parent, over the lazy function of the same name."""

  def __call__(self, *args: Any, **kwargs: Any) -> Any:
    """`migrate.workflows.tracing.trace`; found by name, because engines do not import workflows."""
    return importlib.import_module("migrate.workflows.tracing").trace(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
