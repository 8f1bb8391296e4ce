"""Random variables and measured noise: what is compared is never at its initial value.

Biases start at zero and scales at one, so a model at init hides swapped leaves, dropped
biases and wrong epsilons. Every float leaf is therefore moved by a third of its own size.

The noise floor is measured by running the *Linen* model again with every parameter and
every float input moved by one unit in the last place, up or down at random, and
taking the largest change of each output. Two programs that compute the same function in
another order differ by roundings of that size; a wrong program differs by much more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from migrate.verify.arrays import Flat, is_key, seed_of

FACTOR = 8.0  # differences below FACTOR x noise are `equal`
FACTOR_LOW = 2.0  # the same for bfloat16 and float16, where a single flip already is a coarse measure


def is_float(x: Any) -> bool:
  """Whether `x` holds real or complex floating point numbers."""
  return x is not None and not is_key(x) and jnp.issubdtype(x.dtype, jnp.inexact)


def perturb(flat: Flat, amount: float = 0.3, seed: int = 0) -> Flat:
  """Moves every float leaf away from its initial value; other leaves stay.

  Leaves outside `params` without a negative number (variances, norms) stay positive.
  """
  return {path: _move(path, x, amount, seed) if is_float(x) else x for path, x in flat.items()}


def _move(path: tuple[str, ...], x: Any, amount: float, seed: int) -> np.ndarray:
  array = np.asarray(x)
  wide = array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
  rng = np.random.default_rng([seed, seed_of(*path)])
  noise = rng.normal(size=wide.shape)
  if np.iscomplexobj(wide):
    noise = noise + 1j * rng.normal(size=wide.shape)
  elif path[0] != "params" and wide.size and wide.min() >= 0 and wide.max() > 0:
    return (wide * np.exp(amount * noise)).astype(array.dtype)
  size = float(np.sqrt(np.mean(np.abs(wide) ** 2))) if wide.size else 0.0
  return (wide + amount * noise * (size if size > 1e-6 else 1.0)).astype(array.dtype)


def nudge(arrays: Mapping[Any, Any], seed: int) -> dict[Any, Any]:
  """Moves every float array by one unit in the last place, up or down at random.

  An array of whole numbers (spins, masks, counts) stays: it is compared or indexed with, not computed with.
  """
  nudged = {}
  for i, (name, x) in enumerate(arrays.items()):
    array = np.asarray(x) if is_float(x) else None
    if array is None or (np.isrealobj(array) and (np.rint(array) == array).all()):
      nudged[name] = x
      continue
    rng = np.random.default_rng([seed, i])
    sign = rng.integers(0, 2, array.shape) * 2.0 - 1.0
    eps = float(jnp.finfo(array.dtype).eps)
    wide = array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
    nudged[name] = (wide * (1.0 + sign * eps)).astype(array.dtype)
  return nudged


def largest_change(base: Mapping[str, Any], *others: Mapping[str, Any]) -> dict[str, float]:
  """The largest absolute change of each array over several runs; non-finite places are left out."""
  noise = {}
  for name, x in base.items():
    if not jnp.issubdtype(x.dtype, jnp.inexact) or not x.size:
      noise[name] = 0.0
      continue
    a = np.asarray(x).astype(np.complex128)
    most = 0.0
    for other in others:
      change = np.abs(np.asarray(other[name]).astype(np.complex128) - a)
      change = change[np.isfinite(change)]
      most = max(most, float(change.max()) if change.size else 0.0)
    noise[name] = most
  return noise
