"""Finds the public name by which a program can import an object, and checks that it gives the very same object."""

from __future__ import annotations

import builtins
import functools
import importlib
import sys
import types
from typing import Any

# (module, import statement, how it is spelled); earlier ones win
_PUBLIC = (
  ("jax.numpy", "import jax.numpy as jnp", "jnp"),
  ("flax.nnx.initializers", "from flax import nnx", "nnx.initializers"),
  ("jax.nn", "import jax", "jax.nn"),
  ("jax.nn.initializers", "import jax", "jax.nn.initializers"),
  ("jax.lax", "import jax", "jax.lax"),
  ("jax.random", "import jax", "jax.random"),
  ("jax.numpy.linalg", "import jax.numpy as jnp", "jnp.linalg"),
  ("jax.scipy.special", "import jax.scipy.special", "jax.scipy.special"),
  ("jax.sharding", "import jax", "jax.sharding"),
  ("jax", "import jax", "jax"),
  ("numpy", "import numpy as np", "np"),
  ("flax.nnx", "from flax import nnx", "nnx"),
  ("optax", "import optax", "optax"),
)
_ORDINARY = (type(None), bool, int, float, complex, str, bytes, tuple, list, dict, types.ModuleType)


def public_name(value: Any) -> tuple[str, str] | None:
  """(expression, import statement) for a function, type or constant of the well-known libraries."""
  found = _index(_loaded()).get(id(value))
  return found[:2] if found is not None and found[2] is value else None


def _loaded() -> tuple[str, ...]:
  return tuple(m for m, _, _ in _PUBLIC if m in sys.modules or m.partition(".")[0] in ("jax", "flax", "numpy"))


@functools.cache
def _space(module: str) -> types.ModuleType | None:
  """The module of a public name, which may be an attribute only (`flax.nnx.initializers`)."""
  parent, _, leaf = module.rpartition(".")
  try:
    return importlib.import_module(module)
  except ImportError:
    return getattr(_space(parent), leaf, None) if parent else None


@functools.lru_cache(maxsize=4)
def _index(modules: tuple[str, ...]) -> dict[int, tuple[str, str, Any]]:
  found: dict[int, tuple[str, str, Any]] = {}
  for module, statement, spelling in _PUBLIC:
    if module not in modules:
      continue
    space = _space(module)
    if space is None:
      continue
    for name in sorted(dir(space), key=lambda n: (len(n) > 40, n)):
      value = None if name.startswith("_") else getattr(space, name, None)
      if not isinstance(value, _ORDINARY) and id(value) not in found:
        found[id(value)] = (f"{spelling}.{name}", statement, value)
  # where a thing has two names, the one that it calls itself reads better
  for key, (expression, statement, value) in tuple(found.items()):
    own = getattr(value, "__name__", None)
    space = expression.rpartition(".")[0]
    module = next(m for m, _, s in _PUBLIC if s == space)
    if isinstance(own, str) and getattr(_space(module), own, None) is value:
      found[key] = (f"{space}.{own}", statement, value)
  return found


def importable_name(value: Any) -> tuple[str, str] | None:
  """(module, qualified name) that leads to the very object, the most public module first; None where there is none.

  Nothing is imported but modules that are already loaded.
  """
  module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
  qualname = qualname or getattr(value, "__name__", None) or getattr(value, "_name", None)
  if not isinstance(qualname, str) or "<" in qualname:
    return None
  if isinstance(value, type) and getattr(builtins, qualname, None) is value:
    return "builtins", qualname
  if isinstance(module, str) and _leads_to(module, qualname, value):
    return _most_public(module, qualname, value)
  return _anywhere(qualname, value)


def _leads_to(module: str, qualname: str, value: Any) -> bool:
  found: Any = sys.modules.get(module)
  if found is None or module == "__main__":
    return False
  for part in qualname.split("."):
    try:
      found = getattr(found, part)
    except AttributeError:
      return False
  return found is value


def _is_private(module: str) -> bool:
  return any(part.startswith("_") for part in module.split("."))


def _most_public(module: str, qualname: str, value: Any) -> tuple[str, str]:
  """A module without a private part, where one gives the same object under the same name."""
  if not _is_private(module):
    return module, qualname
  top = module.partition(".")[0]
  near = [m for m in tuple(sys.modules) if (m == top or m.startswith(top + ".")) and not _is_private(m)]
  shared = {m: len(_common(m, module)) for m in near if _leads_to(m, qualname, value)}
  if not shared:
    return module, qualname
  return max(shared, key=lambda m: (shared[m], -len(m))), qualname


def _common(a: str, b: str) -> list[str]:
  return [x for x, y in zip(a.split("."), b.split("."), strict=False) if x == y]


def _anywhere(qualname: str, value: Any) -> tuple[str, str] | None:
  """Looks for the object under its own name in every loaded module: wrapped functions name another module."""
  found = []
  for module in sorted(sys.modules):
    space = getattr(sys.modules[module], "__dict__", {})
    if isinstance(space, dict) and space.get(qualname) is value and module != "__main__":
      found.append(module)
  return (min(found, key=lambda m: (_is_private(m), m.count("."), m)), qualname) if found else None


def constant_name(value: Any) -> tuple[str, str] | None:
  """(module, name) of a module-level variable that holds the very object; the module of its class comes first."""
  own = type(value).__module__
  found = []
  for module in sorted(sys.modules):
    space = getattr(sys.modules[module], "__dict__", {})
    if isinstance(space, dict) and module != "__main__":
      found += [(module, n) for n, v in tuple(space.items()) if v is value and isinstance(n, str)]
  return min(found, key=lambda f: (f[0] != own, _is_private(f[0]), len(f[0]), f)) if found else None
