"""Layers by name in the order in which they were given, as a dict of layers in Linen's `setup` keeps it."""

from collections.abc import Iterator
from typing import Any

from flax import nnx


class OrderedLayers(nnx.Dict):
  """An `nnx.Dict` that keeps its order; `nnx.Dict` itself goes by the names once it was split and merged."""

  def __init__(self, *args: Any, **kwargs: Any):
    layers = dict(*args, **kwargs)
    self._order = tuple(layers)
    super().__init__(layers)

  def __iter__(self) -> Iterator[str]:
    present = [k for k in super().__iter__() if k != "_order"]
    known = [k for k in self._order if k in present]
    return iter([*known, *(k for k in present if k not in known)])
