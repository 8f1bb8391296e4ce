"""A convolutional long short-term memory cell (https://arxiv.org/abs/1506.04214)."""

import jax
import jax.numpy as jnp
from flax import nnx

zeros = nnx.initializers.zeros_init()


class ConvLSTMCell(nnx.RNNCellBase):
  """An LSTM cell whose products are convolutions; the forget gate has one added.

  Args:
    in_features: channels of the input.
    features: channels of memory, state and output.
    kernel_size: of both convolutions.
    strides: of both convolutions; by default one.
    padding: of both convolutions.
    use_bias: whether both have a bias.
    dtype: of the computation; by default that of input and parameters.
    param_dtype: of the parameters.
    carry_init: initializer of memory and state; zeros by default.
    rngs: gives the parameters.
  """

  def __init__(
    self,
    in_features,
    features,
    kernel_size,
    *,
    strides=None,
    padding="SAME",
    use_bias=True,
    dtype=None,
    param_dtype=jnp.float32,
    carry_init=None,
    rngs,
  ):
    def conv(size):
      return nnx.Conv(
        size,
        4 * features,
        kernel_size,
        strides=1 if strides is None else strides,
        padding=padding,
        use_bias=use_bias,
        dtype=dtype,
        param_dtype=param_dtype,
        rngs=rngs,
      )

    self.ih, self.hh = conv(in_features), conv(features)
    self.features = features
    self.kernel_size = kernel_size
    self.param_dtype = param_dtype
    self.carry_init = carry_init

  def __call__(self, carry, inputs):
    """One step: (memory, state) and input to ((new memory, new state), output)."""
    c, h = carry
    i, g, f, o = jnp.split(self.ih(inputs) + self.hh(h), 4, axis=-1)
    c = jax.nn.sigmoid(f + 1) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (c, h), h

  def initialize_carry(self, input_shape, rngs=None, carry_init=None):
    """Memory and state before the first step, for inputs of `input_shape`."""
    init = carry_init or self.carry_init or zeros
    rngs = rngs.carry if isinstance(rngs, nnx.Rngs) else rngs
    shape = (*input_shape[:-1], self.features)
    keys = [jax.random.key(0) if rngs is None else rngs() for _ in range(2)]
    return tuple(init(key, shape, self.param_dtype) for key in keys)

  @property
  def num_feature_axes(self):
    """How many trailing axes of the input are features: the image's, and the channels."""
    return len(self.kernel_size) + 1
