"""The minimal gated unit (https://arxiv.org/pdf/1603.09420.pdf)."""

import jax
import jax.numpy as jnp
from flax import nnx

default_kernel_init = nnx.initializers.lecun_normal()
default_recurrent_init = nnx.initializers.orthogonal()
zeros = nnx.initializers.zeros_init()
ones = nnx.initializers.ones_init()


class MGUCell(nnx.RNNCellBase):
  """`h' = (1 - f) * n + f * h` with one forget gate f, which also resets the candidate n.

  Args:
    in_features: size of the input.
    hidden_features: size of the state and the output.
    gate_fn: activation of the forget gate.
    activation_fn: activation of the candidate.
    kernel_init: initializer of the kernels on the input.
    recurrent_kernel_init: initializer of the kernels on the state.
    forget_bias_init: initializer of the forget gate's bias.
    activation_bias_init: initializer of the candidate's biases.
    dtype: of the computation; by default that of input and parameters.
    param_dtype: of the parameters.
    carry_init: initializer of the state; zeros by default.
    reset_gate: whether the forget gate scales the state's part of the candidate, which then has a bias.
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
    forget_bias_init=ones,
    activation_bias_init=zeros,
    dtype=None,
    param_dtype=jnp.float32,
    carry_init=None,
    reset_gate=True,
    rngs,
  ):
    def on_input(bias_init):
      return nnx.Linear(
        in_features,
        hidden_features,
        kernel_init=kernel_init,
        bias_init=bias_init,
        dtype=dtype,
        param_dtype=param_dtype,
        rngs=rngs,
      )

    def on_state(use_bias):
      return nnx.Linear(
        hidden_features,
        hidden_features,
        use_bias=use_bias,
        kernel_init=recurrent_kernel_init,
        bias_init=activation_bias_init,
        dtype=dtype,
        param_dtype=param_dtype,
        rngs=rngs,
      )

    self.if_, self.hf = on_input(forget_bias_init), on_state(False)
    self.in_, self.hn = on_input(activation_bias_init), on_state(reset_gate)
    self.hidden_features = hidden_features
    self.gate_fn = gate_fn
    self.activation_fn = activation_fn
    self.param_dtype = param_dtype
    self.carry_init = carry_init
    self.reset_gate = reset_gate

  def __call__(self, carry, inputs):
    """One step: state and input to (new state, output)."""
    f = self.gate_fn(self.if_(inputs) + self.hf(carry))
    x = self.hn(carry)
    if self.reset_gate:
      x *= f
    n = self.activation_fn(self.in_(inputs) + x)
    carry = (1.0 - f) * n + f * carry
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
