"""Applies a layer to arrays with several batch axes as if they had one."""

import jax
from flax import nnx


class BatchApply(nnx.Module):
  """Merges the first axes of every array, calls the layer, and splits the first axis of the results.

  Args:
    f: the layer or function.
    num_dims: how many axes are merged; arrays with fewer are passed on as they are.
  """

  def __init__(self, f, num_dims=2):
    self.f = f
    self.num_dims = num_dims

  def __call__(self, *args, **kwargs):
    """Calls the layer on merged arrays."""
    n = self.num_dims
    shapes = [x.shape for x in jax.tree.leaves((args, kwargs)) if getattr(x, "ndim", 0) >= n]
    if not shapes:
      raise ValueError(f"No argument has {n} axes.")
    args, kwargs = jax.tree.map(
      lambda x: x.reshape((-1, *x.shape[n:])) if getattr(x, "ndim", 0) >= n else x, (args, kwargs)
    )
    return jax.tree.map(lambda x: x.reshape((*shapes[0][:n], *x.shape[1:])), self.f(*args, **kwargs))
