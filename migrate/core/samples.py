"""How a layer is built and called for conformance."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Given:
  """A random array for a `Sample`: its shape, and what it holds (`int` is below `high`; `key` is a PRNG key)."""

  shape: Shape
  kind: Literal["float", "int", "bool", "key"] = "float"
  high: int = 0


def floats(*shape: int) -> Given:
  """Normally distributed numbers."""
  return Given(shape)


def ints(*shape: int, high: int) -> Given:
  """Integers from 0 below `high`."""
  return Given(shape, "int", high)


def bools(*shape: int) -> Given:
  """About three true out of four, the first of every last axis always."""
  return Given(shape, "bool")


def key() -> Given:
  """A typed PRNG key."""
  return Given((), "key")


@dataclasses.dataclass(frozen=True)
class Sample:
  """One way to build and call a layer, for `migrate.verify.conformance`; prime sizes, so that no axis fits by luck.

  Attributes:
    fields: Linen constructor fields.
    args: call arguments; `Given` arrays or plain values. A cell's carry is made by its `initialize_carry`.
    kwargs: call keywords, by Linen's names.
    ulp: largest accepted distance in float32, in units in the last place of the largest value; 0 is bitwise.
    half: also compare with dtype=bfloat16 (with `exact` arguments).
    name: shown where it fails.
  """

  fields: Mapping[str, Any]
  args: tuple[Any, ...] = ()
  kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  ulp: int = 0
  half: bool = True
  name: str = ""
