"""Normalisation over any axes and in any precision, for what the layers of `flax.nnx` do not cover."""

import jax
import jax.numpy as jnp
from flax import nnx

zeros = nnx.initializers.zeros_init()
ones = nnx.initializers.ones_init()


def _positive(rank, axes):
  """The axes in ascending order, counted from the front."""
  axes = axes if isinstance(axes, (tuple, list)) else (axes,)
  return tuple(sorted({axis % rank for axis in axes}))


def _square(x):
  return jax.lax.square(jnp.real(x)) + jax.lax.square(jnp.imag(x)) if jnp.iscomplexobj(x) else jax.lax.square(x)


def _statistics(x, axes, norm, mask=None, use_mean=True):
  """Mean and variance of `x` over `axes`, in float32 at least unless the norm says otherwise."""
  dtype = jnp.result_type(x) if norm.dtype is None else norm.dtype
  if norm.force_float32_reductions:
    dtype = jnp.promote_types(dtype, jnp.float32)
  x = jnp.asarray(x, dtype)
  where = None if mask is None else jnp.asarray(mask, bool)

  def mean(*arrays):
    means = [a.mean(axes, where=where) for a in arrays]
    if norm.axis_name is None:
      return means
    return list(jax.lax.pmean(jnp.stack(means), norm.axis_name, axis_index_groups=norm.axis_index_groups))

  if not use_mean:
    (variance,) = mean(_square(x))
    return jnp.zeros_like(variance), variance
  if norm.use_fast_variance:
    center, square = mean(x, _square(x))
    return center, jnp.maximum(0.0, square - _square(center))
  (center,) = mean(x)
  (variance,) = mean(_square(x - jnp.expand_dims(center, axes)))
  return center, variance


def _normalize(x, mean, variance, norm, reduction_axes, feature_axes):
  """Centers and scales `x`; the result alone is cast to the norm's dtype."""
  shape = [size if axis in feature_axes else 1 for axis, size in enumerate(x.shape)]
  y = x - jnp.expand_dims(mean, reduction_axes)
  factor = jax.lax.rsqrt(jnp.expand_dims(variance, reduction_axes) + norm.epsilon)
  used = [x]
  if norm.scale is not None:
    scale = norm.scale[...].reshape(shape)
    factor *= scale if norm.force_float32_reductions else jnp.asarray(scale, norm.param_dtype)
    used.append(scale)
  y *= factor
  if norm.bias is not None:
    bias = norm.bias[...].reshape(shape)
    y += bias if norm.force_float32_reductions else jnp.asarray(bias, norm.param_dtype)
    used.append(bias)
  return jnp.asarray(y, jnp.result_type(*used) if norm.dtype is None else norm.dtype)


class _Norm(nnx.Module):
  """What all norms share.

  Args:
    num_features: size of the feature axis, or a tuple of the sizes of several, in the order of the axes.
    epsilon: added to the variance.
    dtype: of the result; by default that of input and parameters.
    param_dtype: of the parameters.
    use_bias: whether a bias is added.
    use_scale: whether the result is scaled.
    bias_init: initializer of the bias.
    scale_init: initializer of the scale.
    axis_name: mapped axis over which statistics are averaged too.
    axis_index_groups: groups of indices on that axis.
    use_fast_variance: `E[x^2] - E[x]^2` rather than `E[(x - E[x])^2]`.
    force_float32_reductions: whether statistics are computed in float32 at least.
    rngs: gives the parameters.
  """

  def __init__(
    self,
    num_features,
    *,
    epsilon=1e-6,
    dtype=None,
    param_dtype=jnp.float32,
    use_bias=True,
    use_scale=True,
    bias_init=zeros,
    scale_init=ones,
    axis_name=None,
    axis_index_groups=None,
    use_fast_variance=True,
    force_float32_reductions=True,
    rngs,
  ):
    shape = tuple(num_features) if isinstance(num_features, (tuple, list)) else (num_features,)
    self.scale = nnx.Param(scale_init(rngs.params(), shape, param_dtype)) if use_scale else nnx.data(None)
    self.bias = nnx.Param(bias_init(rngs.params(), shape, param_dtype)) if use_bias else nnx.data(None)
    self.epsilon = epsilon
    self.dtype = dtype
    self.param_dtype = param_dtype
    self.axis_name = axis_name
    self.axis_index_groups = axis_index_groups
    self.use_fast_variance = use_fast_variance
    self.force_float32_reductions = force_float32_reductions


class LayerNorm(_Norm):
  """Layer normalisation; `reduction_axes` are averaged over, `feature_axes` have parameters of their own."""

  def __init__(self, num_features, *, reduction_axes=-1, feature_axes=-1, **kwargs):
    super().__init__(num_features, **kwargs)
    self.reduction_axes = reduction_axes
    self.feature_axes = feature_axes

  def __call__(self, x, *, mask=None):
    """Normalises `x`, counting only what `mask` holds."""
    axes = _positive(x.ndim, self.reduction_axes)
    mean, variance = _statistics(x, axes, self, mask)
    return _normalize(x, mean, variance, self, axes, _positive(x.ndim, self.feature_axes))


class RMSNorm(_Norm):
  """Scales by the root of the mean square, without centering."""

  def __init__(self, num_features, *, reduction_axes=-1, feature_axes=-1, **kwargs):
    super().__init__(num_features, use_bias=False, **kwargs)
    self.reduction_axes = reduction_axes
    self.feature_axes = feature_axes

  def __call__(self, x, *, mask=None):
    """Normalises `x`, counting only what `mask` holds."""
    axes = _positive(x.ndim, self.reduction_axes)
    mean, variance = _statistics(x, axes, self, mask, use_mean=False)
    return _normalize(x, mean, variance, self, axes, _positive(x.ndim, self.feature_axes))


class InstanceNorm(_Norm):
  """Normalises each example over all axes but the first and the feature axes."""

  def __init__(self, num_features, *, feature_axes=-1, **kwargs):
    super().__init__(num_features, **kwargs)
    self.feature_axes = feature_axes

  def __call__(self, x, *, mask=None):
    """Normalises `x`, counting only what `mask` holds."""
    features = _positive(x.ndim, self.feature_axes)
    if 0 in features:
      raise ValueError("The first axis is the batch: it cannot be a feature axis.")
    axes = tuple(axis for axis in range(1, x.ndim) if axis not in features)
    mean, variance = _statistics(x, axes, self, mask)
    return _normalize(x, mean, variance, self, axes, features)


class GroupNorm(_Norm):
  """Normalises groups of channels; by default over all axes but the first."""

  def __init__(self, num_features, num_groups=32, group_size=None, *, reduction_axes=None, **kwargs):
    super().__init__(num_features, **kwargs)
    if (num_groups is None) == (group_size is None):
      raise ValueError("Give either num_groups or group_size.")
    self.num_groups = num_groups if group_size is None else num_features // group_size
    if self.num_groups <= 0 or num_features % self.num_groups or (group_size and num_features % group_size):
      raise ValueError(f"{num_features} channels do not make equal groups.")
    self.reduction_axes = reduction_axes

  def __call__(self, x, *, mask=None):
    """Normalises `x`, counting only what `mask` holds."""
    axes = _positive(x.ndim, (*range(1, x.ndim - 1), -1) if self.reduction_axes is None else self.reduction_axes)
    if axes[-1] != x.ndim - 1:
      raise ValueError("The last axis holds the channels: it must be among the reduction axes.")
    size = x.shape[-1] // self.num_groups
    grouped = x.reshape((*x.shape[:-1], self.num_groups, size))
    if mask is not None:
      mask = mask.reshape((*mask.shape[:-1], self.num_groups, size))
    mean, variance = _statistics(grouped, (*axes[:-1], x.ndim), self, mask)
    mean, variance = jnp.repeat(mean, size, axis=-1), jnp.repeat(variance, size, axis=-1)
    return _normalize(x, mean, variance, self, axes[:-1], (x.ndim - 1,))


class BatchNorm(_Norm):
  """Normalises over the batch, and keeps running statistics for evaluation.

  Args:
    num_features: as for all norms.
    use_running_average: whether to use the running statistics; a value given at the call comes first.
    axis: the feature axis or axes.
    momentum: share of the old running statistics that an update keeps.
    epsilon: added to the variance.
    **kwargs: as for all norms.
  """

  def __init__(self, num_features, *, use_running_average=None, axis=-1, momentum=0.99, epsilon=1e-5, **kwargs):
    super().__init__(num_features, epsilon=epsilon, **kwargs)
    shape = tuple(num_features) if isinstance(num_features, (tuple, list)) else (num_features,)
    dtype = jnp.float32 if self.force_float32_reductions else self.param_dtype
    self.mean = nnx.BatchStat(jnp.zeros(shape, dtype))
    self.var = nnx.BatchStat(jnp.ones(shape, dtype))
    self.use_running_average = use_running_average
    self.axis = axis
    self.momentum = momentum

  def __call__(self, x, use_running_average=None, *, mask=None):
    """Normalises `x`; unless running statistics are used, updates them."""
    if use_running_average is None:
      use_running_average = self.use_running_average
    if use_running_average is None:
      raise ValueError("Give use_running_average to the constructor or to the call.")
    features = _positive(x.ndim, self.axis)
    axes = tuple(axis for axis in range(x.ndim) if axis not in features)
    if use_running_average:
      mean, variance = self.mean[...], self.var[...]
      if not self.force_float32_reductions:
        mean, variance = jnp.asarray(mean, self.param_dtype), jnp.asarray(variance, self.param_dtype)
    else:
      mean, variance = _statistics(x, axes, self, mask)
      self.mean.set_value(self.momentum * self.mean[...] + (1 - self.momentum) * mean)
      self.var.set_value(self.momentum * self.var[...] + (1 - self.momentum) * variance)
    return _normalize(x, mean, variance, self, axes, features)

  def set_view(self, use_running_average=None):
    """For `nnx.view`: sets whether running statistics are used."""
    if use_running_average is not None:
      self.use_running_average = use_running_average
