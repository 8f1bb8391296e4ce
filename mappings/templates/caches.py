"""Decode caches of attention layers, as `init` of a Linen model with `decode=True` makes them."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx


def init_caches(model: nnx.Module, leading: Sequence[int]) -> None:
  """Makes empty caches in every attention layer that decodes; they replace those that the layers have.

  Args:
    model: the model.
    leading: shape of the inputs that Linen's `init` would get, without the last axis: batch and longest sequence.
  """
  for _, layer in nnx.iter_modules(model):
    if not isinstance(layer, nnx.MultiHeadAttention) or not layer.decode:
      continue
    stacked = layer.query.kernel.shape[:-3]  # layers that nnx.scan runs lie along the first axis
    layer.init_cache((*stacked, *leading, layer.in_features), dtype=layer.dtype or layer.param_dtype)
    if stacked:
      layer.cache_index = nnx.Cache(jnp.zeros(stacked, jnp.int32))
