"""What `from helpers import *` brings into a file that an example has imported: `nn` as often as classes."""

from __future__ import annotations

import sys
import types

from flax import linen

from migrate.codemod.imports import Names


def names_of(text: str, module: str, path: str) -> Names:
  """The names of a file whose modules are loaded, those of its star imports among them.

  Args:
    text: the file.
    module: its full dotted name.
    path: where it is.
  """
  names = Names(text, module, path.endswith("__init__.py"))
  for star in reversed(names.stars):  # the last one to bind a name is the one that is read
    for name, value in _public(star).items():
      if name not in names.defined and name not in names.imported:
        names.imported[name] = _home(value, name) or f"{star}.{name}"
  return names


def _home(value: object, name: str) -> str | None:
  """The full name of a module, or of what Linen offers under this name, whatever file it came through."""
  if isinstance(value, types.ModuleType):
    return value.__name__
  return f"flax.linen.{name}" if getattr(linen, name, None) is value else None


def _public(module: str) -> dict[str, object]:
  found = vars(sys.modules[module]) if module in sys.modules else {}
  wanted = found.get("__all__") or [n for n in found if not n.startswith("_")]
  return {n: found[n] for n in wanted if n in found}


def loaded_module(module: str, name: str) -> str | None:
  """The full name of the module that a file which is loaded calls by a name: `jnp`."""
  value = _public(module).get(name)
  return value.__name__ if isinstance(value, types.ModuleType) else None
