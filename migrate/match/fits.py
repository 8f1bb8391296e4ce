"""Which operations lead from one shape to another."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Literal

from migrate.core.ops import Cast, Concatenate, Op, OpError, Reshape, Stack, Transpose, Unstack, bind_ops
from migrate.core.paths import Key, Path
from migrate.core.tree import Spec

Shape = tuple[int, ...]
FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclasses.dataclass(frozen=True)
class Item:
  """A leaf, or a series of leaves of one shape that stand for one.

  Attributes:
    name: the path below the collection; of a series the pattern, `{i}` in one segment.
    collection: of the variable.
    spec: of each member.
    members: the leaves' own paths below the collection, in numeric order.
    order: when the model makes it; for a source its place in natural order.
  """

  name: Key
  collection: str
  spec: Spec
  members: tuple[Path, ...]
  order: int = 0

  @property
  def count(self) -> int:
    return len(self.members)


@dataclasses.dataclass(frozen=True)
class Fit:
  """Operations from a source to a target.

  Attributes:
    ops: left to right.
    kind: `same` shape, `reshape` of neighbouring axes, `transpose`.
    sure: whether no other operations would fit as well.
  """

  ops: tuple[Op, ...]
  kind: Literal["same", "reshape", "transpose"]
  sure: bool = True


def fits(source: Item, target: Item) -> Sequence[Fit]:
  """Every way that the shapes allow, the most natural first."""
  return _fits(source.spec, len(source.members), target.spec, len(target.members))


@functools.lru_cache(1 << 16)
def _fits(source: Spec, count: int, target: Spec, others: int) -> Sequence[Fit]:
  """For series of `count` sources and of `others` targets."""
  if count > 1 and others > 1:
    return []
  cast = _cast(source.dtype, target.dtype)
  if cast is None:
    return []
  if count == others == 1:
    return [dataclasses.replace(f, ops=(*f.ops, *cast)) for f in _plain(source.shape, target.shape)]
  out = []
  joined = count > 1
  whole, part = (target, source) if joined else (source, target)
  axes = [a for a, n in enumerate(whole.shape) if n == max(count, others)]
  for axis in axes:
    rest = whole.shape[:axis] + whole.shape[axis + 1 :]
    for fit in _plain(part.shape, rest) if joined else _plain(rest, part.shape):
      ops = (*fit.ops, Stack(axis=axis)) if joined else (Unstack(axis=axis), *fit.ops)
      out.append(dataclasses.replace(fit, ops=(*ops, *cast)))
  out.sort(key=lambda f: ("same", "reshape", "transpose").index(f.kind))
  alone = sum(f.kind == "same" for f in out) <= 1
  return [dataclasses.replace(f, sure=f.sure and alone) for f in out]


def _cast(source: str, target: str) -> tuple[Op, ...] | None:
  if source == target:
    return ()
  return (Cast(target, source),) if source in FLOATS and target in FLOATS else None


def _plain(source: Shape, target: Shape) -> list[Fit]:
  out = []
  if source == target:
    out.append(Fit((), "same"))
  elif neighbours(source, target):
    out.append(Fit((Reshape(target, source),), "reshape"))
  if 1 < len(source) < 5 and sorted(source) == sorted(target):
    order = [p for p in itertools.permutations(range(len(source))) if p != tuple(range(len(source)))]
    found = [p for p in order if tuple(source[i] for i in p) == target]
    if 1 in source:
      found = [] if out else found[:1]
    out += [Fit((Transpose(p),), "transpose", len(found) == 1) for p in found[:4]]
  return out


def neighbours(a: Shape, b: Shape) -> bool:
  """Whether one shape is the other with neighbouring axes merged or axes of size 1 added, on one side only."""
  a, b = tuple(n for n in a if n != 1), tuple(n for n in b if n != 1)
  if len(a) < len(b):
    a, b = b, a
  at = 0
  for n in b:
    size = 1
    while at < len(a) and size < n:
      size *= a[at]
      at += 1
    if size != n:
      return False
  return at == len(a)


@dataclasses.dataclass(frozen=True)
class Joint:
  """One way to make an array of several: what to do with each, how to join, and what it means."""

  ops: tuple[Op, ...]
  meaning: str


def joints(parts: Sequence[Spec], whole: Spec) -> list[Joint]:
  """Every usual way to join arrays into one: side by side, head by head, on an axis of their own."""
  if len({p.dtype for p in parts}) > 1 or not parts:
    return []
  count, shapes = len(parts), [p.shape for p in parts]
  cast = _cast(parts[0].dtype, whole.dtype)
  if cast is None:
    return []
  ways: list[Joint] = []
  rank = len(shapes[0])
  for axis in range(rank):
    sizes = tuple(shape[axis] for shape in shapes if len(shape) == rank)
    parted = count if len(set(sizes)) == 1 else sizes
    ways.append(Joint((Concatenate(parted, axis - rank),), f"side by side on axis {axis}"))
  for start in range(rank - 1):  # (d, heads, head_dim) as (d, heads*head_dim), side by side
    if len({*shapes}) == 1:
      size = 1
      for n in shapes[0][start:]:
        size *= n
      flat = (*shapes[0][:start], size)
      ways.append(Joint((Reshape(flat, shapes[0]), Concatenate(count, -1)), "side by side"))
  if len(set(shapes)) == 1:
    ways += [Joint((Stack(count, axis),), f"stacked on axis {axis}") for axis in range(rank + 1)]
    ways += [
      Joint((Stack(count, axis), Reshape(whole.shape)), "one head after another" if axis else "stacked, then flat")
      for axis in range(rank + 1)
    ]
  out: dict[tuple[Op, ...], Joint] = {}
  seen: set[str] = set()
  for way in ways:
    try:
      bound, made, _ = bind_ops(way.ops, shapes, parts[0].dtype)
    except OpError:
      continue
    if made != [whole.shape]:
      continue
    sign = _order(bound, shapes)
    if sign not in seen:
      seen.add(sign)
      out[bound] = Joint((*bound, *cast), way.meaning)
  return list(out.values())


def _order(ops: Sequence[Op], shapes: Sequence[Shape]) -> str:
  """What an arrangement does to positions, so that two spellings of one are counted once. Sizes are made small."""
  import numpy as np

  total = sum(int(np.prod(s)) for s in shapes)
  if total > 1 << 22:
    return repr(ops)
  arrays, at = [], 0
  for shape in shapes:
    size = int(np.prod(shape))
    arrays.append(np.arange(at, at + size, dtype=np.int32).reshape(shape))
    at += size
  for op in ops:
    arrays = op.apply(arrays)
  return str(hash(arrays[0].tobytes()))
