"""A long short-term memory cell with one parameter a gate, multiplied as one."""

import jax
import jax.numpy as jnp
from flax import nnx

default_kernel_init = nnx.initializers.lecun_normal()
default_recurrent_init = nnx.initializers.orthogonal()
zeros = nnx.initializers.zeros_init()


class OptimizedLSTMCell(nnx.RNNCellBase):
  """`c' = f * c + i * g`, `h' = o * tanh(c')`, with the four gates' kernels joined before the product.

  Args:
    in_features: size of the input.
    hidden_features: size of the state and the output.
    gate_fn: activation of the gates i, f and o.
    activation_fn: activation of g and of the memory.
    kernel_init: initializer of the kernels on the input.
    recurrent_kernel_init: initializer of the kernels on the state.
    bias_init: initializer of the biases.
    dtype: of the computation; by default that of input and parameters.
    param_dtype: of the parameters.
    carry_init: initializer of memory and state; zeros by default.
    rngs: gives the parameters.
  """

  def __init__(
    self,
    in_features,
    hidden_features,
    *,
    gate_fn=jax.nn.sigmoid,
    activation_fn=jnp.tanh,
    kernel_init=default_kernel_init,
    recurrent_kernel_init=default_recurrent_init,
    bias_init=zeros,
    dtype=None,
    param_dtype=jnp.float32,
    carry_init=None,
    rngs,
  ):
    def on_input():
      return nnx.Linear(
        in_features, hidden_features, use_bias=False, kernel_init=kernel_init, param_dtype=param_dtype, rngs=rngs
      )

    def on_state():
      return nnx.Linear(
        hidden_features,
        hidden_features,
        kernel_init=recurrent_kernel_init,
        bias_init=bias_init,
        param_dtype=param_dtype,
        rngs=rngs,
      )

    self.ii, self.if_, self.ig, self.io = on_input(), on_input(), on_input(), on_input()
    self.hi, self.hf, self.hg, self.ho = on_state(), on_state(), on_state(), on_state()
    self.hidden_features = hidden_features
    self.gate_fn = gate_fn
    self.activation_fn = activation_fn
    self.dtype = dtype
    self.param_dtype = param_dtype
    self.carry_init = carry_init

  def _joined(self, inputs, gates):
    """The products with the kernels of `gates`, in one."""
    kernel = jnp.concatenate([gate.kernel[...] for gate in gates], axis=-1)
    bias = None
    if gates[0].bias is not None:
      bias = jnp.concatenate([gate.bias[...] for gate in gates], axis=-1)
    dtype = self.dtype
    if dtype is None:
      dtype = jnp.result_type(*(x for x in (inputs, kernel, bias) if x is not None))
    y = jnp.dot(jnp.asarray(inputs, dtype), jnp.asarray(kernel, dtype))
    if bias is not None:
      y += jnp.reshape(jnp.asarray(bias, dtype), (1,) * (y.ndim - 1) + (-1,))
    return jnp.split(y, len(gates), axis=-1)

  def __call__(self, carry, inputs):
    """One step: (memory, state) and input to ((new memory, new state), output)."""
    c, h = carry
    hi, hf, hg, ho = self._joined(h, (self.hi, self.hf, self.hg, self.ho))
    ii, if_, ig, io = self._joined(inputs, (self.ii, self.if_, self.ig, self.io))
    i = self.gate_fn(hi + ii)
    f = self.gate_fn(hf + if_)
    g = self.activation_fn(hg + ig)
    o = self.gate_fn(ho + io)
    c = f * c + i * g
    h = o * self.activation_fn(c)
    return (c, h), h

  def initialize_carry(self, input_shape, rngs=None, carry_init=None):
    """Memory and state before the first step, for inputs of `input_shape`."""
    init = carry_init or self.carry_init or zeros
    rngs = rngs.carry if isinstance(rngs, nnx.Rngs) else rngs
    shape = (*input_shape[:-1], self.hidden_features)
    keys = [jax.random.key(0) if rngs is None else rngs() for _ in range(2)]
    return tuple(init(key, shape, self.param_dtype) for key in keys)

  @property
  def num_feature_axes(self):
    """How many trailing axes of the input are features."""
    return 1
