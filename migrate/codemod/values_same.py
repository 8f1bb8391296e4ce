"""Whether two values are the same for a program: by content, through functions, closures and plain objects."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import textwrap
import types
from typing import Any

import numpy as np

_ATOMS = (type(None), bool, int, str, bytes, range, slice, type(Ellipsis), type(NotImplemented))
_MISSING = object()


def same(a: Any, b: Any) -> bool:
  """Deep equality: types, dtypes, NaNs, closures and attributes count; a cycle counts as equal once met."""
  return _same(a, b, set())


def _same(a: Any, b: Any, seen: set[tuple[int, int]]) -> bool:
  if a is b:
    return True
  if type(a) is not type(b):
    return False
  if (id(a), id(b)) in seen:
    return True
  seen.add((id(a), id(b)))
  if isinstance(a, _ATOMS):
    return a == b
  if isinstance(a, (float, complex)):
    return repr(a) == repr(b)
  if isinstance(a, (tuple, list)):
    return len(a) == len(b) and all(_same(x, y, seen) for x, y in zip(a, b, strict=True)) and _attributes(a, b, seen)
  if isinstance(a, dict):
    return list(a) == list(b) and all(_same(a[k], b[k], seen) for k in a) and _attributes(a, b, seen)
  if isinstance(a, (set, frozenset)):
    return a == b
  if is_array(a):
    return _same_array(a, b)
  if isinstance(a, types.FunctionType):
    return _same_function(a, b, seen)
  if isinstance(a, types.MethodType):
    return a.__func__ is b.__func__ and _same(a.__self__, b.__self__, seen)
  if isinstance(a, functools.partial):
    return all(_same(getattr(a, n), getattr(b, n), seen) for n in ("func", "args", "keywords"))
  if isinstance(a, (type, types.ModuleType, types.BuiltinFunctionType)):
    return False
  state_a, state_b = state(a), state(b)
  if state_a is None or state_b is None:
    if _equal(a, b):
      return True
    told = recipe(a)
    return told is not None and _same(told, recipe(b), set())
  return state_a.keys() == state_b.keys() and all(
    _same(v, state_b[k], seen) or ((v is None) != (state_b[k] is None) and _made_at_first_use(type(a), k))
    for k, v in state_a.items()
  )


@functools.cache
def _made_at_first_use(cls: type, name: str) -> bool:
  """Whether a private attribute is None until a method of the class needs it: `if self._adjoint is None: ...`."""
  if not name.startswith("_"):
    return False
  wanted = (f"self.{name} is None", f"self.{name} is not None")
  methods = {n: v for base in reversed(cls.__mro__) for n, v in vars(base).items() if n != "__init__"}
  for method in (getattr(v, "fget", v) for v in methods.values()):
    try:
      text = inspect.getsource(method) if callable(method) else ""
      tree = ast.parse(textwrap.dedent(text) if f"self.{name} is " in text else "")
    except (OSError, TypeError, SyntaxError):
      continue
    if any(ast.unparse(n.test) in wanted for n in ast.walk(tree) if isinstance(n, ast.If | ast.IfExp)):
      return True
  return False


def _attributes(a: Any, b: Any, seen: set[tuple[int, int]]) -> bool:
  """Attributes that a subclass of a container has besides its content."""
  here, there = getattr(a, "__dict__", None) or {}, getattr(b, "__dict__", None) or {}
  return here.keys() == there.keys() and all(_same(v, there[k], seen) for k, v in here.items())


def _equal(a: Any, b: Any) -> bool:
  try:
    return type(a).__eq__ is not object.__eq__ and bool(a == b)
  except Exception:
    return False


def is_array(value: Any) -> bool:
  """A NumPy array or scalar, or a concrete or abstract jax array."""
  return isinstance(value, (np.ndarray, np.generic)) or type(value).__name__ in ("ArrayImpl", "PRNGKeyArray")


def _same_array(a: Any, b: Any) -> bool:
  if a.shape != b.shape or a.dtype != b.dtype:
    return False
  if str(a.dtype).startswith("key<"):
    import jax

    return bool((jax.random.key_data(a) == jax.random.key_data(b)).all())
  if getattr(a, "weak_type", None) != getattr(b, "weak_type", None):
    return False
  a, b = np.asarray(a), np.asarray(b)
  return a.tobytes() == b.tobytes() if a.dtype != object else a.tolist() == b.tolist()


def _same_function(a: types.FunctionType, b: types.FunctionType, seen: set[tuple[int, int]]) -> bool:
  if a.__code__ is not b.__code__:
    return False
  cells_a, cells_b = a.__closure__ or (), b.__closure__ or ()
  return (
    all(_same(_content(x), _content(y), seen) for x, y in zip(cells_a, cells_b, strict=True))
    and _same(a.__defaults__, b.__defaults__, seen)
    and _same(a.__kwdefaults__, b.__kwdefaults__, seen)
  )


def _content(cell: types.CellType) -> Any:
  try:
    return cell.cell_contents
  except ValueError:
    return _MISSING


def state(value: Any) -> dict[str, Any] | None:
  """The attributes that make an object what it is; None where it has none that can be seen.

  A dataclass is its fields; values that `functools.cached_property` keeps and private attributes that call
  themselves a cache are left out.
  """
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    return {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
  if _is_native(type(value)):
    return None
  found: dict[str, Any] = {}
  known = False
  for cls in type(value).__mro__:
    slots = cls.__dict__.get("__slots__", ())
    for name in (slots,) if isinstance(slots, str) else slots:
      if name in ("__dict__", "__weakref__"):
        continue
      known = True
      name = f"_{cls.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name
      if hasattr(value, name):
        found[name] = getattr(value, name)
  if hasattr(value, "__dict__"):
    known = True
    found.update(vars(value))
  cached = {n for c in type(value).__mro__ for n, v in vars(c).items() if isinstance(v, functools.cached_property)}
  return {k: v for k, v in found.items() if k not in cached and not _is_cache(k)} if known else None


def _is_native(cls: type) -> bool:
  """Whether compiled code may keep state in its instances that no attribute shows."""
  python_made = 1 << 9  # Py_TPFLAGS_HEAPTYPE
  return (
    any(not base.__flags__ & python_made for base in cls.__mro__[:-1])
    or (isinstance(cls.__new__, types.BuiltinFunctionType) and cls.__new__ is not object.__new__)
    or any(base.__basicsize__ > 32 + 8 * _slot_count(cls) for base in cls.__mro__)
  )


def _slot_count(cls: type) -> int:
  slots = [base.__dict__.get("__slots__", ()) for base in cls.__mro__]
  return sum(1 if isinstance(s, str) else len(s) for s in slots)


def _is_cache(name: str) -> bool:
  return isinstance(name, str) and name.startswith("_") and ("cache" in name.lower() or name == "_hash")


def recipe(value: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]] | None:
  """What a class says about building its instance again (`__reduce__`): callable, arguments, attributes.

  None where it says nothing of its own, or keeps more than attributes.
  """
  cls = type(value)
  if cls.__reduce__ is object.__reduce__ and cls.__reduce_ex__ is object.__reduce_ex__:
    return None
  try:
    found = value.__reduce_ex__(2)
  except Exception:
    return None
  if not isinstance(found, tuple) or len(found) < 2 or any(part is not None for part in found[3:]):
    return None
  attributes = (found[2] or {}) if len(found) > 2 else {}
  return (found[0], found[1], attributes) if isinstance(attributes, dict) else None
