"""Several instances of a class side by side, as `nn.vmap` of a class gives them."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import nnx

from mappings.templates.stack import stack

_TYPES: dict[str, Any] = {
  "params": nnx.Param,
  "batch_stats": nnx.BatchStat,
  "cache": nnx.Cache,
  "intermediates": nnx.Intermediate,
}


def vmap(
  target: Callable[..., Any],
  variable_axes: Mapping[str, int | None] = {},
  split_rngs: Mapping[str, bool] = {},
  in_axes: Any = 0,
  out_axes: Any = 0,
  axis_size: int | None = None,
  **_: Any,
) -> type:
  """A class whose instances hold `axis_size` modules of `target`, stacked, and call them all at once.

  Args:
    target: the NNX class, or a `functools.partial` of it.
    variable_axes: collection -> axis along which its variables are stacked; None or absent shares them.
    split_rngs: streams that differ between the instances.
    in_axes: as `jax.vmap`, over the positional call arguments.
    out_axes: as `jax.vmap`.
    axis_size: how many.
  """
  axes = nnx.StateAxes({**{_TYPES[c]: a for c, a in variable_axes.items() if c in _TYPES}, nnx.RngState: 0, ...: 0})

  class Stacked(nnx.Module):
    """`target`, side by side."""

    def __init__(self, *args: Any, rngs: nnx.Rngs, axis_size: int | None = axis_size, **kwargs: Any):
      self.axis_size = axis_size

      def make(rngs: nnx.Rngs) -> Any:
        return target(*args, rngs=rngs, **kwargs)

      if variable_axes.get("params") is None:
        split = nnx.StateAxes({nnx.RngState: None, ...: None})
        self.stacked = make(rngs)
        self.axes = split
        return
      assert axis_size is not None, "give axis_size"
      self.axes = axes
      self.stacked = stack(make, axis_size, rngs, axes)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
      each = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
      traced = [i for i, a in enumerate(args) if len(jax.tree.leaves(a)) and hasattr(jax.tree.leaves(a)[0], "shape")]

      def call(module: Any, *given: Any) -> Any:
        filled = list(args)
        for i, value in zip(traced, given):
          filled[i] = value
        return module(*filled, **kwargs)

      axes_in = (self.axes, *[each[i] for i in traced])
      run = nnx.vmap(call, in_axes=axes_in, out_axes=out_axes, axis_size=self.axis_size)
      return run(self.stacked, *[args[i] for i in traced])

  Stacked.__name__ = f"Vmap{getattr(target, 'func', target).__name__}"
  return Stacked
