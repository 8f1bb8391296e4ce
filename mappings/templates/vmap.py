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
  methods: Any = None,
  axis_name: Any = None,
  spmd_axis_name: Any = None,
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
    methods: names of the methods that the class has, or a dict from names to arguments of `vmap`; None for `__call__`.
    axis_name: the instances' axis for collectives, as of `nn.BatchNorm(axis_name=...)`.
    spmd_axis_name: as `jax.vmap`.
  """
  names = methods if methods is not None else ("__call__",)
  own = methods if isinstance(methods, Mapping) else {}
  for given in list(own.values())[:1]:  # the variables are stacked in one way
    variable_axes, axis_size = given.get("variable_axes", variable_axes), given.get("axis_size", axis_size)
    split_rngs = given.get("split_rngs", split_rngs)
  axes = nnx.StateAxes({**{_TYPES[c]: a for c, a in variable_axes.items() if c in _TYPES}, nnx.RngState: 0, ...: 0})
  streams = {name for name, each in split_rngs.items() if each and name != "params"}

  def draws_for_each(path: Any, value: Any) -> bool:
    return isinstance(value, nnx.RngState) and bool(streams) and value.tag in {*streams, "default"}

  class Stacked(nnx.Module):
    """`target`, side by side."""

    def __init__(self, *args: Any, rngs: nnx.Rngs, axis_size: int | None = axis_size, **kwargs: Any):
      self.axis_size = axis_size

      def make(rngs: nnx.Rngs) -> Any:
        return target(*args, rngs=rngs, **kwargs)

      if variable_axes.get("params") is None:
        self.stacked = make(rngs)
        self.axes = nnx.StateAxes({draws_for_each: 0, ...: None})
        return
      assert axis_size is not None, "give axis_size"
      self.axes = axes
      self.stacked = stack(make, axis_size, rngs, axes)

  def lifted(name: str) -> Callable[..., Any]:
    given_in, given_out = own.get(name, {}).get("in_axes", in_axes), own.get(name, {}).get("out_axes", out_axes)

    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
      each = given_in if isinstance(given_in, tuple) else (given_in,) * len(args)
      traced = [i for i, a in enumerate(args) if len(jax.tree.leaves(a)) and hasattr(jax.tree.leaves(a)[0], "shape")]

      def call(module: Any, *given: Any) -> Any:
        filled = list(args)
        for i, value in zip(traced, given):
          filled[i] = value
        return getattr(module, name)(*filled, **kwargs)

      axes_in = (self.axes, *[each[i] for i in traced])
      collective = {"axis_name": axis_name, "spmd_axis_name": spmd_axis_name}
      stacked = nnx.vmap(call, in_axes=axes_in, out_axes=given_out, axis_size=self.axis_size, **collective)
      if variable_axes.get("params") is not None or not streams:
        return stacked(self.stacked, *[args[i] for i in traced])
      sizes = [jax.tree.leaves(args[i])[0].shape[each[i]] for i in traced if isinstance(each[i], int)]
      with nnx.split_rngs(self.stacked, splits=(self.axis_size or sizes[0]), only=draws_for_each):
        return stacked(self.stacked, *[args[i] for i in traced])

    return run

  for name in names:
    setattr(Stacked, name, lifted(name))
  Stacked.__name__ = f"Vmap{getattr(target, 'func', target).__name__}"
  return Stacked
