"""A gated recurrent unit with one parameter a gate and a bias on each candidate gate, as trained GRUs have."""

import jax
import jax.numpy as jnp
from flax import nnx

default_kernel_init = nnx.initializers.lecun_normal()
default_recurrent_init = nnx.initializers.orthogonal()
zeros = nnx.initializers.zeros_init()


class GRUCell(nnx.RNNCellBase):
  """`h' = (1 - z) * n + z * h` with `n = tanh(W_in x + b_in + r * (W_hn h + b_hn))`.

  Args:
    in_features: size of the input.
    hidden_features: size of the state and the output.
    gate_fn: activation of the gates r and z.
    activation_fn: activation of the candidate n.
    kernel_init: initializer of the kernels on the input.
    recurrent_kernel_init: initializer of the kernels on the state.
    bias_init: initializer of the biases.
    dtype: of the computation; by default that of input and parameters.
    param_dtype: of the parameters.
    carry_init: initializer of the state; zeros by default.
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
        in_features,
        hidden_features,
        kernel_init=kernel_init,
        bias_init=bias_init,
        dtype=dtype,
        param_dtype=param_dtype,
        rngs=rngs,
      )

    def on_state(use_bias=False):
      return nnx.Linear(
        hidden_features,
        hidden_features,
        use_bias=use_bias,
        kernel_init=recurrent_kernel_init,
        bias_init=bias_init,
        dtype=dtype,
        param_dtype=param_dtype,
        rngs=rngs,
      )

    self.ir, self.iz, self.in_ = on_input(), on_input(), on_input()
    self.hr, self.hz, self.hn = on_state(), on_state(), on_state(use_bias=True)
    self.hidden_features = hidden_features
    self.gate_fn = gate_fn
    self.activation_fn = activation_fn
    self.param_dtype = param_dtype
    self.carry_init = carry_init

  def __call__(self, carry, inputs):
    """One step: state and input to (new state, output)."""
    r = self.gate_fn(self.ir(inputs) + self.hr(carry))
    z = self.gate_fn(self.iz(inputs) + self.hz(carry))
    n = self.activation_fn(self.in_(inputs) + r * self.hn(carry))
    carry = (1.0 - z) * n + z * carry
    return carry, carry

  def initialize_carry(self, input_shape, rngs=None, carry_init=None):
    """The state before the first step, for inputs of `input_shape`."""
    init = carry_init or self.carry_init or zeros
    rngs = rngs.carry if isinstance(rngs, nnx.Rngs) else rngs
    key = jax.random.key(0) if rngs is None else rngs()
    return init(key, (*input_shape[:-1], self.hidden_features), self.param_dtype)

  @property
  def num_feature_axes(self):
    """How many trailing axes of the input are features."""
    return 1
