"""Dot product attention in Linen's order of operations, for `nnx.MultiHeadAttention(attention_fn=...)`."""

import functools
import inspect

import jax
import jax.numpy as jnp
from flax import nnx


def dot_product_attention(
  query,
  key,
  value,
  bias=None,
  mask=None,
  broadcast_dropout=True,
  dropout_rng=None,
  dropout_rate=0.0,
  deterministic=False,
  dtype=None,
  precision=None,
  module=None,
  is_causal=False,
  float32_softmax=False,
):
  """Attention over `[..., length, heads, depth]`: scale the query, then softmax, then dropout on the weights.

  Args:
    query: of shape `[..., q_length, heads, depth]`.
    key: of shape `[..., kv_length, heads, depth]`.
    value: of shape `[..., kv_length, heads, v_depth]`.
    bias: added to the logits, broadcastable to `[..., heads, q_length, kv_length]`.
    mask: true where a query may look; broadcastable likewise.
    broadcast_dropout: whether all batches and heads share a dropout mask.
    dropout_rng: the key of that mask.
    dropout_rate: share of weights that is dropped.
    deterministic: whether nothing is dropped.
    dtype: of the computation; by default that of the inputs.
    precision: of the products.
    module: the layer that sows `attention_weights`, if any.
    is_causal: whether a query looks only at keys up to its own position.
    float32_softmax: whether the softmax is computed in float32 whatever the dtype.

  Returns:
    An array of shape `[..., q_length, heads, v_depth]`.
  """
  dtype = jnp.result_type(query, key, value) if dtype is None else dtype
  query, key, value = (jnp.asarray(x, dtype) for x in (query, key, value))
  query = query / jnp.sqrt(query.shape[-1]).astype(dtype)
  weights = jnp.einsum("...qhd,...khd->...hqk", query, key, precision=precision)
  if bias is not None:
    weights = weights + bias
  if is_causal:
    causal = jnp.tril(jnp.ones(weights.shape[-2:], bool))
    mask = causal if mask is None else jnp.logical_and(mask, causal)
  if mask is not None:
    weights = jnp.where(mask, weights, jnp.finfo(dtype).min)
  if float32_softmax and dtype != jnp.float32:
    weights = jax.nn.softmax(weights.astype(jnp.float32))
  else:
    weights = jax.nn.softmax(weights).astype(dtype)
  if module is not None:
    module.sow(nnx.Intermediate, "attention_weights", weights)
  if not deterministic and dropout_rate > 0.0:
    if dropout_rng is None:
      raise ValueError("Dropout on attention weights needs a dropout_rng.")
    shape = (1,) * (key.ndim - 2) + weights.shape[-2:] if broadcast_dropout else weights.shape
    keep = jax.random.bernoulli(dropout_rng, 1.0 - dropout_rate, shape)
    weights = weights * (keep.astype(dtype) / jnp.asarray(1.0 - dropout_rate, dtype))
  return jnp.einsum("...hqk,...khd->...qhd", weights, value, precision=precision)


def with_float32_softmax(wanted):
  """The attention function for Linen's `force_fp32_for_softmax=wanted`."""
  return functools.partial(dot_product_attention, float32_softmax=bool(wanted))


class Adapted(nnx.Module):
  """Passes a function written for Linen only the keywords that its signature names, as Linen does.

  Args:
    function: the function, or a module that is called like one.
  """

  def __init__(self, function):
    self.function = function

  def __call__(self, query, key, value, *, module=None, **kwargs):
    known = inspect.signature(self.function).parameters
    if kwargs.get("is_causal") and "is_causal" not in known:
      raise ValueError(f"{self.function} does not take is_causal.")
    kwargs = {name: given for name, given in kwargs.items() if name in known}
    return self.function(query, key, value, **kwargs, **({} if module is None else {"module": module}))


def as_stream(key):
  """A dropout key for one call of `nnx.MultiHeadAttention`, which calls what it is given as `rngs`."""
  return None if key is None else lambda: key
