"""What every array operation offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

Shape = tuple[int, ...]


class OpError(ValueError):
  """An operation met shapes that it cannot take; the planner adds the paths."""


class Op:
  """One step from Linen to NNX. Subclasses are frozen dataclasses of plain values."""

  layout_only: ClassVar[bool] = True
  """Whether values are only moved, so that optimizer moments may follow."""

  def apply(self, arrays: Sequence[Any]) -> list[Any]:
    """The arrays after this step."""
    raise NotImplementedError

  def shape(self, shapes: Sequence[Shape]) -> list[Shape]:
    """The shapes after this step. Raises OpError where they do not fit."""
    raise NotImplementedError

  def dtype(self, dtype: str) -> str:
    """The dtype after this step."""
    return dtype

  def bind(self, shapes: Sequence[Shape], dtype: str) -> Op:
    """The same step with all that its inverse must know, read from its input."""
    del shapes, dtype
    return self

  def inverse(self) -> Op:
    """The step that undoes this one. Raises OpError where not enough is known: bind it first."""
    raise NotImplementedError


def axis_of(axis: int, rank: int) -> int:
  if not -rank <= axis < rank:
    raise OpError(f"axis {axis} of an array with {rank} axes")
  return axis % rank


def groups(items: Sequence[Any], count: int | None, name: str) -> list[Sequence[Any]]:
  count = len(items) if count is None else count
  if not items or count < 1 or len(items) % count:
    raise OpError(f"{name} takes {count} arrays at a time and was given {len(items)}")
  return [items[i : i + count] for i in range(0, len(items), count)]


def namespace(array: Any) -> Any:
  return array.__array_namespace__() if hasattr(array, "__array_namespace__") else np


def parts_of(name: str, parts: Any) -> None:
  sizes = parts if isinstance(parts, tuple) else () if parts is None else (parts,)
  if (isinstance(parts, tuple) and not parts) or any(type(n) is not int or n < 0 for n in sizes) or parts == 0:
    raise ValueError(f"{name}: parts is a count or a tuple of sizes, not {parts!r}")


def integers(name: str, values: Any) -> None:
  if not isinstance(values, tuple) or any(type(n) is not int for n in values):
    raise ValueError(f"{name} takes integers, not {values!r}")


def product(sizes: Any) -> int:
  total = 1
  for n in sizes:
    total *= n
  return total


def agrees(shape: Shape, wanted: Shape) -> bool:
  return len(shape) == len(wanted) and all(w in (-1, n) for n, w in zip(shape, wanted, strict=True))
