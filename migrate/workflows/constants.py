"""Models that compute Python numbers from arrays of constants, which no trace of JAX allows as it is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
T = TypeVar("T")

_WANTED = (
  jax.errors.ConcretizationTypeError,
  jax.errors.TracerArrayConversionError,
  jax.errors.TracerIntegerConversionError,
)


def with_constants(function: Callable[P, T]) -> Callable[P, T]:
  """Makes a function run once more, with constants computed at once, where Python wanted the value of an array.

  `rates = [r.item() for r in jnp.linspace(0, 0.1, depth)]` runs outside of `jax.jit` only, and so does a Linen model that
  says so in its compact method. Under `jax.ensure_compile_time_eval` it can be traced. That is no way to begin with:
  every `jnp.zeros` of a large model would be allocated.
  """

  @functools.wraps(function)
  def run(*args: P.args, **kwargs: P.kwargs) -> T:
    try:
      return function(*args, **kwargs)
    except Exception as error:
      if not _wants_a_value(error):
        raise
      try:
        with jax.ensure_compile_time_eval():
          return function(*args, **kwargs)
      except Exception as second:
        raise (error if _wants_a_value(second) else second) from None

  return run


def _wants_a_value(error: BaseException | None) -> bool:
  while error is not None:
    if isinstance(error, _WANTED):
      return True
    error = error.__cause__
  return False
