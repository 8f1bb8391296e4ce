"""Modules of one class in one module, their Variables stacked, as `nn.vmap` and `nn.scan` make them."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx


def stack(make: Callable[[nnx.Rngs], Any], length: int, rngs: nnx.Rngs, axes: Any = 0) -> Any:
  """`length` modules, each made with random streams of its own, as one module with stacked Variables.

  Args:
    make: makes a module.
    length: how many.
    rngs: are split among them.
    axes: along which the Variables are stacked, as `nnx.vmap` takes it for `out_axes`.
  """

  def one(rngs: nnx.Rngs) -> Any:
    module = make(rngs)
    for _, node in list(nnx.iter_graph(module)):
      if isinstance(node, nnx.Module):
        for name, value in list(vars(node).items()):
          if isinstance(value, jax.Array):  # traced, and NNX takes what is traced for structure unless it is told
            setattr(node, name, nnx.data(value))
    return module

  return nnx.vmap(one, in_axes=0, out_axes=axes)(rngs.split(length))
