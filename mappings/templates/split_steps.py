"""Random streams for the steps of a scan, as `split_rngs` of `nn.scan` gives every step its own."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx


def split_steps(axis: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
  """Decorates a scanned method: its module's streams are split for as many steps as the first input has along `axis`."""

  def decorate(scanned: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(scanned)
    def run(module: Any, carry: Any, *inputs: Any) -> Any:
      steps = jax.tree.leaves(inputs[0])[0].shape[axis]
      return nnx.split_rngs(splits=steps)(scanned)(module, carry, *inputs)

    return run

  return decorate
