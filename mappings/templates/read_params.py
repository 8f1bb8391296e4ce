"""A layer that reads its parameters through a method, as Linen's layers do through `param`."""

from collections.abc import Callable
from typing import Any

from flax import nnx


def call_reading(base: type[nnx.Module], layer: Any, read: Callable[[str], Any], *args: Any, **kwargs: Any) -> Any:
  """Calls the layer as its base class does, where `read(name)` gives the value of each parameter.

  Args:
    base: the class whose `__call__` runs.
    layer: the layer; its parameters are unchanged, its other variables are those of the call.
    read: gives the value of a parameter from its name.
    *args: of the call.
    **kwargs: of the call.
  """
  copy = nnx.merge(*nnx.split(layer))  # shares its variables with the layer
  for name, held in vars(layer).items():
    if isinstance(held, nnx.Param) and held.get_value() is not None:
      setattr(copy, name, nnx.Param(read(name)))
  return base.__call__(copy, *args, **kwargs)  # pyright: ignore
