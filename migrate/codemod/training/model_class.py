"""What training code must know of a rewritten module class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(eq=False)
class ModelClass:
  """A module class that is NNX once everything is rewritten.

  Attributes:
    full: full dotted name.
    parameters: names of the constructor's arguments, in order, without `self`.
    keyword_only: those of them that are given by name.
    required: those without a default.
    sizes: arguments that Linen's constructor did not have -> (call argument, axis from the end, values seen).
    call: arguments of `__call__`, in order, without `self`.
    collections: collections that its variables have, None where not known.
    stacked: whether RNG streams may be stacked in it, one for each layer of a scan.
    flags: attributes that say whether a collection may change -> (the collection, the value where it may); None where
      setting them would change layers that keep a mode of their own.
    paths: paths of its parameters in Linen and in NNX, None where not known.
    pure: whether it certainly has nothing but parameters, no RNG streams either.
    sown: Linen's collections that it or a module in it sows into; "*" for one whose name is computed.
    modules: path of each of its modules in Linen -> in NNX, "/" between the names; None where not known.
  """

  full: str
  parameters: tuple[str, ...]
  keyword_only: frozenset[str]
  required: frozenset[str]
  sizes: dict[str, tuple[str | None, int, tuple[Any, ...]]]
  call: tuple[str, ...]
  collections: frozenset[str] | None = None
  stacked: bool = False
  flags: Mapping[str, tuple[str, bool]] | None = dataclasses.field(default_factory=dict)
  pure: bool = False
  paths: tuple[tuple[tuple[str, ...], tuple[str | int, ...]], ...] | None = None
  sown: frozenset[str] = frozenset()
  modules: Mapping[str, str] | None = None
