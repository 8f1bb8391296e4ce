"""What the C library keeps of freed memory: many threads that make and free large buffers make it keep a lot."""

from __future__ import annotations

import contextlib
import ctypes
from typing import Any

_ARENAS = -8  # M_ARENA_MAX of glibc


def give_back() -> bool:
  """Has the C library give freed memory back to the system; whether it could."""
  return _call("malloc_trim", 0)


def one_arena() -> bool:
  """Has all threads of this process, from here on, share what is freed; whether the C library could be told."""
  return _call("mallopt", _ARENAS, 1)


def _call(name: str, *arguments: Any) -> bool:
  with contextlib.suppress(AttributeError, OSError, TypeError):  # not glibc
    getattr(ctypes.CDLL(None), name)(*arguments)
    return True
  return False
