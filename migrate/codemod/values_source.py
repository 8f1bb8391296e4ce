"""The text of a value with what it needs, and what the writers of single kinds may ask of the whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from migrate.core.report import MigrateError


class Unwritable(MigrateError):
  """A value that has no source."""


@dataclasses.dataclass(frozen=True)
class Source:
  """Text that gives a value.

  Attributes:
    expression: the value.
    imports: import statements that the text needs.
    helpers: top-level statements that it needs, in order.
    setup: statements that must run before the expression, in the same scope, in order (objects used twice).
  """

  expression: str
  imports: frozenset[str] = frozenset()
  helpers: tuple[str, ...] = ()
  setup: tuple[str, ...] = ()

  def with_expression(self, expression: str) -> Source:
    """The same needs, another expression."""
    return dataclasses.replace(self, expression=expression)


def join(expression: str, parts: Iterable[Source], *imports: str) -> Source:
  """An expression made of other sources."""
  parts = tuple(parts)
  return Source(
    expression,
    frozenset(imports).union(*(p.imports for p in parts)),
    tuple(dict.fromkeys(h for p in parts for h in p.helpers)),
    tuple(dict.fromkeys(s for p in parts for s in p.setup)),
  )


class Writer(Protocol):
  """What `ValueWriter` offers to the writers of single kinds."""

  module_class_name: Callable[[Any], tuple[str, str] | None]
  maker_text: Callable[[Any], str | None]

  def write(self, value: Any, where: str = "value") -> Source:
    """Source of a part; its expression may hold placeholders of shared objects."""
    ...

  def call(
    self, function: Source | str, args: Sequence[Source] = (), kwargs: Mapping[str, Source] | None = None
  ) -> Source:
    """Source of a call."""
    ...

  def reference(self, module: str, qualname: str) -> Source:
    """An imported name."""
    ...

  def bind(self, name: str, statement: str) -> bool:
    """Claims a name for a statement."""
    ...

  def fresh(self, hint: str) -> str:
    """A free name, claimed."""
    ...

  def inlined(self, source: Source) -> Source:
    """The source without placeholders."""
    ...

  def once(self, value: Any, make: Callable[[], Source]) -> Source:
    """Makes the helper of a function once in a file."""
    ...

  def refuse(self, where: str, value: Any, because: str, do: str = "") -> Unwritable:
    """The error for a value that cannot be written."""
    ...
