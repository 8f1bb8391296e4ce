"""A deep stack of one class, rematerialised level by level, as `nn.remat_scan` gives it."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from flax import nnx

from mappings.templates.stack import stack


def remat_scan(
  target: Callable[..., Any],
  lengths: Sequence[int] = (),
  policy: Callable[..., Any] | None = None,
  **_: Any,
) -> type:
  """A class whose instances call `prod(lengths)` modules one after the other, from carry to carry.

  Args:
    target: the NNX class; its call takes the carry and returns the next.
    lengths: how many on every level; all levels but the last are rematerialised, so that the memory of a backward
      pass grows with their sum.
    policy: as for `jax.checkpoint`.
  """

  def run(module: Any, carry: Any, lengths: Sequence[int]) -> Any:
    def step(carry: Any, module: Any) -> Any:
      if len(lengths) == 1:
        return module(carry)

      def inner(module: Any, carry: Any) -> Any:
        return run(module, carry, lengths[1:])

      return nnx.remat(inner, prevent_cse=False, policy=policy)(module, carry)

    return nnx.scan(step, in_axes=(nnx.Carry, 0), out_axes=nnx.Carry, length=lengths[0])(carry, module)

  class Scanned(nnx.Module):
    """`target`, again and again; Variables have one leading axis for each of `lengths`."""

    def __init__(self, *args: Any, rngs: nnx.Rngs, **kwargs: Any):
      def make(rngs: nnx.Rngs) -> Any:
        return target(*args, rngs=rngs, **kwargs)

      for length in reversed(lengths):
        make = functools.partial(stack, make, length)
      self.scanned = make(rngs)

    def __call__(self, carry: Any) -> Any:
      return run(self.scanned, carry, lengths)

  Scanned.__name__ = f"RematScan{getattr(target, 'func', target).__name__}"
  return Scanned
