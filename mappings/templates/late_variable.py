"""A variable that comes into being at its first use, as `self.variable` makes it in Linen."""

from collections.abc import Callable
from typing import TypeVar

from flax import nnx

V = TypeVar("V", bound=nnx.Variable)


def late_variable(module: nnx.Module, name: str, make: Callable[[], V]) -> V:
  """The variable `name` of a module, made where it is not there yet."""
  if not hasattr(module, name):
    setattr(module, name, make())
  return getattr(module, name)
