"""A convolution with a kernel and a bias of its own for each place of the output."""

import math

import jax
import jax.numpy as jnp
from flax import nnx

default_kernel_init = nnx.initializers.lecun_normal()
default_bias_init = nnx.initializers.zeros_init()


def _promote(arrays, dtype=None):
  dtype = jnp.result_type(*(a for a in arrays if a is not None)) if dtype is None else dtype
  return tuple(None if a is None else jnp.asarray(a, dtype) for a in arrays)


def _padded(inputs, padding, kernel_size, dilation):
  """The inputs with what lax cannot pad, and the padding that is left to lax."""
  if padding in ("CIRCULAR", "REFLECT"):
    reach = [(k - 1) * d for k, d in zip(kernel_size, dilation, strict=True)]
    pads = [(0, 0), *((r // 2, (r + 1) // 2) for r in reach), (0, 0)]
    return jnp.pad(inputs, pads, mode="wrap" if padding == "CIRCULAR" else "reflect"), "VALID"
  if padding == "CAUSAL":
    if len(kernel_size) != 1:
      raise ValueError("Causal padding needs a one-dimensional kernel.")
    return jnp.pad(inputs, [(0, 0), (dilation[0] * (kernel_size[0] - 1), 0), (0, 0)]), "VALID"
  if isinstance(padding, int):
    return inputs, [(padding, padding)] * len(kernel_size)
  if isinstance(padding, str):
    return inputs, padding
  return inputs, [(p, p) if isinstance(p, int) else tuple(p) for p in padding]


class ConvLocal(nnx.Module):
  """Computes `y[place] = sum over taps of x[place + tap] * kernel[place, tap] + bias[place]`.

  Args:
    input_shape: size of the image and channels, without batch axes.
    features: channels of the output.
    kernel_size: one size for each axis of the image.
    strides: one, or one for each axis.
    padding: "SAME", "VALID", "CIRCULAR", "REFLECT", "CAUSAL", or numbers.
    input_dilation: one, or one for each axis.
    kernel_dilation: one, or one for each axis.
    use_bias: whether there is a bias.
    mask: multiplied with the kernel.
    dtype: of the computation; by default that of input and parameters.
    param_dtype: of the parameters.
    precision: of the products.
    kernel_init: initializer of the kernel.
    bias_init: initializer of the bias.
    promote_dtype: brings a tuple of arrays to one dtype.
    rngs: gives the parameters.
  """

  def __init__(
    self,
    input_shape,
    features,
    kernel_size,
    *,
    strides=1,
    padding="SAME",
    input_dilation=1,
    kernel_dilation=1,
    use_bias=True,
    mask=None,
    dtype=None,
    param_dtype=jnp.float32,
    precision=None,
    kernel_init=default_kernel_init,
    bias_init=default_bias_init,
    promote_dtype=_promote,
    rngs,
  ):
    def each(value):
      value = 1 if value is None else value
      return (value,) * len(self.kernel_size) if isinstance(value, int) else tuple(value)

    self.kernel_size = (kernel_size,) if isinstance(kernel_size, int) else tuple(kernel_size)
    self.strides, self.padding = each(strides), padding
    self.input_dilation, self.kernel_dilation = each(input_dilation), each(kernel_dilation)
    self.dtype, self.precision, self.promote_dtype = dtype, precision, promote_dtype
    rank = len(self.kernel_size)
    # batch and channels first and last: lax counts axes as (batch, features, image)
    self.layout = jax.lax.ConvDimensionNumbers(
      (0, rank + 1, *range(1, rank + 1)), (rank + 1, rank, *range(rank)), (0, rank + 1, *range(1, rank + 1))
    )
    channels = input_shape[-1]
    output = jax.eval_shape(
      self._shared, jnp.zeros((1, *input_shape)), jnp.zeros((*self.kernel_size, channels, features))
    ).shape
    shape = (*output[1:-1], math.prod(self.kernel_size) * channels, features)
    self.kernel = nnx.Param(kernel_init(rngs.params(), shape, param_dtype))
    self.bias = nnx.Param(bias_init(rngs.params(), output[1:], param_dtype)) if use_bias else nnx.data(None)
    if mask is not None and mask.shape != shape:
      raise ValueError(f"The mask has shape {mask.shape}, the kernel {shape}.")
    self.mask = nnx.data(mask)

  def _geometry(self, inputs):
    inputs, padding = _padded(inputs, self.padding, self.kernel_size, self.kernel_dilation)
    dilation = {"lhs_dilation": self.input_dilation, "rhs_dilation": self.kernel_dilation}
    return inputs, {"window_strides": self.strides, "padding": padding, "dimension_numbers": self.layout, **dilation}

  def _shared(self, inputs, kernel):
    """An ordinary convolution, for its shape."""
    inputs, geometry = self._geometry(inputs)
    return jax.lax.conv_general_dilated(inputs, kernel, **geometry)

  def __call__(self, inputs):
    """Applies it to `(*batch, *image, channels)`."""
    batch = inputs.shape[: -len(self.kernel_size) - 1]
    inputs, geometry = self._geometry(inputs.reshape((-1, *inputs.shape[len(batch) :])))
    kernel = self.kernel[...] if self.mask is None else self.kernel[...] * self.mask
    bias = None if self.bias is None else self.bias[...]
    inputs, kernel, bias = self.promote_dtype((inputs, kernel, bias), dtype=self.dtype)
    y = jax.lax.conv_general_dilated_local(
      inputs, kernel, filter_shape=self.kernel_size, precision=self.precision, **geometry
    )
    if bias is not None:
      y += bias[None]
    return y.reshape((*batch, *y.shape[1:]))
