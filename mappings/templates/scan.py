"""A class called once for every layer or time step, as `nn.scan` of a class gives it."""

import inspect
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


def scan(
  target: type,
  variable_axes: Mapping[str, Any] = {},
  variable_broadcast: Any = (),
  variable_carry: Any = (),
  split_rngs: Mapping[str, bool] = {},
  in_axes: Any = 0,
  out_axes: Any = 0,
  length: int | None = None,
  reverse: bool = False,
  unroll: int = 1,
  **_: Any,
) -> type:
  """A class whose instances call a module `length` times, from carry to carry.

  Args:
    target: the NNX class; its call takes `(carry, *inputs)` and returns `(carry, outputs)`.
    variable_axes: collection -> axis along which its variables are stacked, one for every step; True is all of them.
    variable_broadcast: collections that all steps share.
    variable_carry: collections that go from step to step.
    split_rngs: streams that differ from step to step.
    in_axes: axis of every input along which the steps lie; None (or Linen's `nn.broadcast`) gives all of it to each.
    out_axes: likewise of the outputs.
    length: how many steps.
    reverse: from the last step to the first.
    unroll: as `jax.lax.scan`.
  """
  everything = variable_axes.get(True)  # type: ignore[call-overload]
  stacked = variable_axes.get("params", everything) is not None
  kinds = {_TYPES[c]: a for c, a in variable_axes.items() if c in _TYPES}
  shared = (variable_broadcast,) if isinstance(variable_broadcast, str) else tuple(variable_broadcast or ())
  kinds |= {_TYPES[c]: None for c in shared if c in _TYPES}
  if stacked:
    axes = nnx.StateAxes({**kinds, nnx.RngState: 0, ...: everything or 0})
  else:
    streams = {name: one_each for name, one_each in split_rngs.items() if name != "params"}
    own_keys = bool(streams) and all(streams.values())  # else a stream goes from step to step
    axes = nnx.StateAxes({**kinds, nnx.Param: None, nnx.RngState: 0 if own_keys else nnx.Carry, ...: nnx.Carry})

  class Scanned(nnx.Module):
    """`target`, step by step."""

    def __init__(self, *args: Any, rngs: nnx.Rngs, length: int | None = length, **kwargs: Any):
      self.length = length

      def make(rngs: nnx.Rngs) -> Any:
        return target(*args, rngs=rngs, **kwargs)

      if stacked:
        assert length is not None, "give length"
        self.scanned = stack(make, length, rngs, axes)
      else:
        self.scanned = make(rngs)

    def __call__(self, carry: Any, *inputs: Any, **kwargs: Any) -> Any:
      each = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(inputs)
      each = tuple(a if isinstance(a, int) else None for a in each)
      scanned = [i for i, x in enumerate(inputs) if jax.tree.leaves(x) and each[i] is not None]

      def step(module: Any, carry: Any, *given: Any) -> Any:
        filled = list(inputs)
        for i, value in zip(scanned, given):
          filled[i] = value
        return module(carry, *filled, **kwargs)

      run = nnx.scan(
        step,
        in_axes=(axes, nnx.Carry, *[each[i] for i in scanned]),
        out_axes=(nnx.Carry, out_axes),
        length=self.length if stacked else None,
        reverse=reverse,
        unroll=unroll,
      )
      if not stacked and own_keys and scanned:
        along = jax.tree.leaves(inputs[scanned[0]])[0].shape[each[scanned[0]]]
        run = nnx.split_rngs(splits=along if length is None else length)(run)
      return run(self.scanned, carry, *[inputs[i] for i in scanned])

  first = getattr(target, "initialize_carry", None)
  if first is not None and "rngs" in inspect.signature(first).parameters:  # a cell: its own carry begins the scan

    def initialize_carry(self: Any, rng: Any, input_shape: tuple[int, ...]) -> Any:
      return self.scanned.initialize_carry(input_shape, nnx.Rngs(rng))

    Scanned.initialize_carry = initialize_carry  # type: ignore[attr-defined]
  elif first is not None:
    Scanned.initialize_carry = lambda self, *args, **kwargs: self.scanned.initialize_carry(*args, **kwargs)  # type: ignore[attr-defined]

  def of_one_step(name: str) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: getattr(self.scanned, name)(*args, **kwargs)

  for name in dict(inspect.getmembers(target, inspect.isfunction)):
    if not name.startswith("_") and not hasattr(Scanned, name):
      setattr(Scanned, name, of_one_step(name))  # `cell.initial_state(batch_size)`: Linen does not lift it either
  Scanned.__name__ = f"Scan{target.__name__}"
  return Scanned
