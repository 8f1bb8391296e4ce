"""The same model at other sizes, so that no size is explained by a coincidence.

A candidate expression must hold in every trace; a second set of sizes makes chance agreements fall away. Variants are
tried abstractly and left out where the model does not run at those sizes.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from migrate.example import Call, Example
from migrate.trace.scaled import scaled, told_apart

_MORE = (("lists", "deeper", "ones", "longer"), ("lists", "deeper", "ones"), ("lists", "deeper"), ("lists",), ())


def variants(example: Example) -> Iterator[tuple[Example, ...]]:
  """Yields the example at other input sizes, and with other numbers of features and layers.

  Each time several may be given, of which the first that runs is enough.
  """
  for changes in (
    (functools.partial(_resized, oblong=True), _resized),
    (functools.partial(_resized, last=True),),
    [functools.partial(scaled, **dict.fromkeys(more, True)) for more in _MORE],
  ):
    found: list[Example] = []
    for change in changes:
      try:
        changed = change(example)
        if changed is not None and all(_differ(changed, other) for other in found):
          found.append(changed)
      except Exception as error:  # a pytree of the arguments may refuse other sizes, a module other numbers
        logging.getLogger(__name__).debug("%s of the example's type: %s", type(error).__name__, error)
    if found:
      yield tuple(found)
  if apart := told_apart(example):
    yield tuple(apart)


def _differ(one: Example, other: Example) -> bool:
  return one.module != other.module or [a.shape for a in _arrays(one)] != [a.shape for a in _arrays(other)]


def _arrays(example: Example) -> list[Any]:
  every = (example.args, dict(example.kwargs), [(c.args, dict(c.kwargs)) for c in example.calls])
  return [leaf for leaf in jax.tree_util.tree_leaves(every) if isinstance(getattr(leaf, "shape", None), tuple)]


def _resized(example: Example, last: bool = False, oblong: bool = False) -> Example:
  """Other sizes of batches, images and rows; `oblong`: images that are square get another height than width."""
  sizes: dict[int, int] = {}
  leaves = _arrays(example)
  shapes = [leaf.shape for leaf in leaves if leaf.shape]
  first = {s[0] for s in shapes if len(s) > 1}  # a vector as long as these counts examples: a time for each image
  for leaf in leaves:
    shape = getattr(leaf, "shape", None)
    if not isinstance(shape, tuple) or not shape:
      continue
    integer = np.issubdtype(np.dtype(getattr(leaf, "dtype", "float32")), np.integer) if not _is_key(leaf) else False
    inner = shape if integer or len(shape) == 1 else shape[:-1]
    for axis, size in enumerate(inner):
      if size < 2 or (len(shape) == 1 and not integer):
        continue
      sizes.setdefault(size, size * 2 if axis and len(shape) >= 4 else size + 1 if axis == 0 else size - 1)

  def other(leaf: Any) -> Any:
    shape = getattr(leaf, "shape", None)
    if not isinstance(shape, tuple) or not hasattr(leaf, "dtype") or _is_key(leaf) or not shape:
      return leaf
    integer = np.issubdtype(np.dtype(leaf.dtype), np.integer)
    if last:
      wide = np.issubdtype(np.dtype(leaf.dtype), np.floating) and len(shape) > 1
      return jax.ShapeDtypeStruct((*shape[:-1], shape[-1] * 2), leaf.dtype) if wide else leaf  # pyright: ignore
    keep_last = not integer and len(shape) > 1
    flat = len(shape) == 1 and not integer and shape[0] not in first
    square = oblong and len(shape) >= 4 and shape[1] == shape[2]
    new = tuple(s if (keep_last and i == len(shape) - 1) or flat else sizes.get(s, s) for i, s in enumerate(shape))
    new = (*new[:2], new[1] * 2, *new[3:]) if square else new  # pyright: ignore
    return leaf if new == shape else jax.ShapeDtypeStruct(new, leaf.dtype)

  def convert(tree: Any) -> Any:
    return jax.tree_util.tree_map(other, tree)

  def call(c: Call) -> Call:
    return dataclasses.replace(c, args=convert(tuple(c.args)), kwargs=convert(dict(c.kwargs)))

  return dataclasses.replace(
    example,
    args=convert(tuple(example.args)),
    kwargs=convert(dict(example.kwargs)),
    init_args=None if example.init_args is None else convert(tuple(example.init_args)),
    init_kwargs=None if example.init_kwargs is None else convert(dict(example.init_kwargs)),
    calls=tuple(call(c) for c in example.calls),
  )


def _is_key(leaf: Any) -> bool:
  dtype = getattr(leaf, "dtype", None)
  return dtype is not None and (jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key) or str(dtype) == "uint32")
