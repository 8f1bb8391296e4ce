"""Weight normalisation (https://arxiv.org/abs/1602.07868) with trained scales; the layer's weights stay as they are."""

import jax
import jax.numpy as jnp
from flax import nnx

ones = nnx.initializers.ones_init()


class WeightNorm(nnx.Module):
  """Runs a layer with weights of norm one, times a learned scale.

  Args:
    layer_instance: the layer; its own parameters stay what they are.
    epsilon: added to the squared norm.
    dtype: of the normalised weights; by default that of weights and scales.
    param_dtype: of the scales.
    use_scale: whether there are scales.
    scale_init: initializer of the scales.
    feature_axes: axes that keep a norm of their own; None for one norm of the whole weight.
    variable_filter: normalises parameters whose path, such as `block/kernel`, holds one of these texts; None for all.
    rngs: gives the scales.
  """

  def __init__(
    self,
    layer_instance,
    *,
    epsilon=1e-12,
    dtype=None,
    param_dtype=jnp.float32,
    use_scale=True,
    scale_init=ones,
    feature_axes=-1,
    variable_filter=("kernel",),
    rngs,
  ):
    self.layer_instance = layer_instance
    self.epsilon = epsilon
    self.dtype = dtype
    self.feature_axes = feature_axes
    self.variable_filter = None if variable_filter is None else tuple(sorted(variable_filter))
    scales = {}
    for path, param in nnx.to_flat_state(nnx.state(layer_instance, nnx.Param)):
      if use_scale and self._chosen(path):
        shape = tuple(param.shape[axis] for axis in self._features(param.ndim))
        scales["/".join(map(str, path))] = nnx.Param(scale_init(rngs.params(), shape, param_dtype))
    self.scales = nnx.Dict(scales)

  def _chosen(self, path):
    name = "/".join(map(str, path))
    return not self.variable_filter or any(text in name for text in self.variable_filter)

  def _features(self, rank):
    if self.feature_axes is None:
      return ()
    axes = self.feature_axes if isinstance(self.feature_axes, (tuple, list)) else (self.feature_axes,)
    return tuple(sorted({axis % rank for axis in axes}))

  def _normalized(self, path, value):
    features = self._features(value.ndim)
    axes = tuple(axis for axis in range(value.ndim) if axis not in features)
    y = value * jax.lax.rsqrt((value * value).sum(axis=axes, keepdims=True) + self.epsilon)
    used = [value]
    name = "/".join(map(str, path))
    if name in self.scales:
      shape = [size if axis in features else 1 for axis, size in enumerate(value.shape)]
      scale = self.scales[name][...].reshape(shape)
      y *= scale
      used.append(scale)
    return jnp.asarray(y, jnp.result_type(*used) if self.dtype is None else self.dtype)

  def __call__(self, *args, **kwargs):
    """Calls the layer with normalised weights; its other variables are its own, and change as usual."""
    graph, params, others = nnx.split(self.layer_instance, nnx.Param, ...)
    flat = {
      path: param.replace(self._normalized(path, param[...])) if self._chosen(path) else param
      for path, param in nnx.to_flat_state(params)
    }
    return nnx.merge(graph, nnx.from_flat_state(flat), others)(*args, **kwargs)
