"""Arrays, dtypes and random keys as source text; large arrays are left to a file of values."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from migrate.codemod.values_same import same

NUMPY, JAX, JNP = "import numpy as np", "import jax", "import jax.numpy as jnp"
VALUES_FILE = "ported_values.npz"
LOAD_VALUES = f'VALUES = np.load(pathlib.Path(__file__).with_name("{VALUES_FILE}"))'


@dataclasses.dataclass(frozen=True)
class ArrayText:
  """An array as an expression; `stored` goes into the file of values under `name` (`{name}` in the expression)."""

  expression: str
  imports: frozenset[str]
  stored: np.ndarray | None = None


def dtype_text(dtype: np.dtype, for_jax: bool = False) -> tuple[str, str] | None:
  """(expression, import) of a dtype: `np.float32`, `jnp.bfloat16`, `np.dtype("<U3")`; None where it holds objects."""
  dtype = np.dtype(dtype)
  if dtype.hasobject:
    return None
  name = "bool_" if dtype.name == "bool" else dtype.name
  if _is_extended(dtype) or (for_jax and dtype.isbuiltin):
    return f"jnp.{name}", JNP
  if dtype.isbuiltin == 1 and dtype == np.dtype(getattr(np, name, np.void)):
    return f"np.{name}", NUMPY
  if dtype.names is not None:
    return f"np.dtype({dtype.descr!r})", NUMPY
  return f'np.dtype("{dtype.str}")', NUMPY


def _is_extended(dtype: np.dtype) -> bool:
  """bfloat16, float8 and the like, which NumPy's own file formats do not know."""
  return dtype.type.__module__ == "ml_dtypes"


def scalar_text(value: Any) -> str:
  """A Python number, with `float("inf")` and `float("nan")` spelled so that it evaluates anywhere."""
  if isinstance(value, complex):
    return f"complex({scalar_text(value.real)}, {scalar_text(value.imag)})"
  if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
    return f'float("{value}")'
  return repr(value)


def _nested(items: Any) -> str:
  if isinstance(items, list):
    return f"[{', '.join(map(_nested, items))}]"
  return scalar_text(items)


def _shortest(array: np.ndarray) -> Any:
  """Nested lists whose numbers are the shortest that give the same elements."""
  if (array.dtype.kind == "f" and array.dtype.itemsize < 8) or _is_extended(array.dtype):
    flat = [float(str(x)) for x in array.ravel()]
    return np.array(flat, np.float64).reshape(array.shape).tolist() if array.ndim else flat[0]
  return array.tolist()


def array_text(value: Any, small: int) -> ArrayText | None:
  """Source of a NumPy array or scalar, or a jax array; None where it cannot be written (objects, tracers)."""
  is_jax = not isinstance(value, (np.ndarray, np.generic))
  if is_jax and str(value.dtype).startswith("key<"):
    return _key_text(value)
  array = np.asarray(value)
  dtype = dtype_text(array.dtype, is_jax)
  if dtype is None:
    return None
  imports = {dtype[1], JNP if is_jax else NUMPY}
  if is_jax and value.weak_type and not array.ndim:
    return ArrayText(f"jnp.asarray({scalar_text(array.item())})", frozenset({JNP}))
  literal = array.dtype.kind in "biufcSU" or _is_extended(array.dtype)
  if isinstance(value, np.generic):
    maker = f"np.{type(value).__name__}" if array.dtype.kind in "SU" else dtype[0]
    return ArrayText(f"{maker}({_item(array)})", frozenset(imports)) if literal else None
  maker = "jnp.array" if is_jax else "np.array"
  if literal and array.ndim and array.size > min(small, 8) and (constant := _constant(array)) is not None:
    filled = maker.replace("array", "zeros" if constant == "zeros" else "full")
    fill = "" if constant == "zeros" else f", {constant}"
    return ArrayText(f"{filled}({array.shape!r}{fill}, dtype={dtype[0]})", frozenset(imports))
  if literal and array.size <= small:
    text = _nested(_shortest(array))
    if array.size == 0 and array.ndim != 1:
      return ArrayText(f"{maker.replace('array', 'zeros')}({array.shape!r}, dtype={dtype[0]})", frozenset(imports))
    if _reads_back(array):
      return ArrayText(f"{maker}({text}, dtype={dtype[0]})", frozenset(imports))
  return _stored(array, dtype, is_jax, imports)


def _stored(array: np.ndarray, dtype: tuple[str, str], is_jax: bool, imports: set[str]) -> ArrayText:
  expression, stored = 'VALUES["{name}"]', np.ascontiguousarray(array).reshape(array.shape)
  if _is_extended(array.dtype):
    # an npz file does not know these types: keep their bits
    expression += f".view({dtype[0]})"
    stored = stored.view(np.dtype(f"u{array.dtype.itemsize}"))
  if is_jax:
    expression = f"jnp.asarray({expression})"
  return ArrayText(expression, frozenset({*imports, NUMPY, "import pathlib"}), stored)


def _item(array: np.ndarray) -> str:
  return _nested(_shortest(array))


def _reads_back(array: np.ndarray) -> bool:
  return same(np.array(_shortest(array), dtype=array.dtype).reshape(array.shape), array.reshape(array.shape).copy())


def _constant(array: np.ndarray) -> str | None:
  """`zeros`, or the text of the one value that fills the array; None where it holds several."""
  first = array.reshape(-1)[:1]
  if first.size and np.broadcast_to(first, array.shape).tobytes() == array.tobytes():
    return "zeros" if not any(first.tobytes()) else _item(first.reshape(()))
  return None


def _key_text(value: Any) -> ArrayText:
  import jax

  data = np.asarray(jax.random.key_data(value))
  impl = str(jax.random.key_impl(value))
  default = str(jax.random.key_impl(jax.random.key(0)))
  if not value.shape and impl == default:
    seed = int(data.reshape(-1)[-1])
    if seed < 2**31 and same(jax.random.key(seed), value):
      return ArrayText(f"jax.random.key({seed})", frozenset({JAX}))
  text = f"np.array({_nested(data.tolist())}, dtype=np.{data.dtype.name})"
  return ArrayText(f'jax.random.wrap_key_data({text}, impl="{impl}")', frozenset({JAX, NUMPY}))
