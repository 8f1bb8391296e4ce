"""A class decorator written for Linen's dataclasses, on an NNX module."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T", bound=type)


def fields_only(decorator: Callable[[T], T]) -> Callable[[T], T]:
  """The decorator, as one that sees only the dataclass fields among the constructor's arguments.

  What it records of them stays as it was: `rngs` and sizes pass it by.
  """

  def decorate(cls: T) -> T:
    names = {field.name for field in dataclasses.fields(cls)}
    waiting: list[dict[str, Any]] = []
    construct = cls.__init__

    @functools.wraps(construct)
    def with_all(self: Any, *args: Any, **kwargs: Any) -> None:
      construct(self, *args, **kwargs, **waiting.pop())

    cls.__init__ = with_all
    decorated = decorator(cls)
    seen = decorated.__init__

    @functools.wraps(seen)
    def with_fields(self: Any, *args: Any, **kwargs: Any) -> None:
      waiting.append({n: v for n, v in kwargs.items() if n not in names})
      seen(self, *args, **{n: v for n, v in kwargs.items() if n in names})

    decorated.__init__ = with_fields
    return decorated

  return decorate
