"""A layer called with other parameters than its own, as `layer.apply({"params": ...}, x)` does."""

from collections.abc import Mapping
from typing import Any

from flax import nnx


def call_with(layer: nnx.Module, params: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
  """Calls a copy of the layer whose parameters are these, by attribute name; the layer itself is unchanged."""
  copy = nnx.clone(layer)
  for name, value in params.items():
    held = getattr(copy, name)
    if isinstance(held, nnx.Variable):
      held.set_value(value[...] if isinstance(value, nnx.Variable) else value)
    else:
      call_params = dict(value.items())
      for inner, leaf in call_params.items():
        getattr(held, inner).set_value(leaf[...] if isinstance(leaf, nnx.Variable) else leaf)
  return copy(*args, **kwargs)
