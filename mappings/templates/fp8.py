"""Products in 8-bit floating point with delayed scaling, as drop-in `dot_general` modules and an einsum.

Scales and histories of largest values are `OverwriteWithGradient` variables: their gradient *is* their next value, so
a training step differentiates for them too (`nnx.DiffState(0, (nnx.Param, OverwriteWithGradient))`) and writes what it
gets.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


class OverwriteWithGradient(nnx.Variable):
  """What a training step replaces by its gradient."""


def _largest(q_dtype, dtype):
  return jnp.finfo(q_dtype).max.astype(dtype)


def _quantize(x, q_dtype, scale, dtype):
  limit = _largest(q_dtype, dtype)
  return jnp.clip(x / jnp.broadcast_to(scale.astype(dtype), x.shape), -limit, limit).astype(q_dtype)


def _dequantize(x, dtype, scale):
  return x.astype(dtype) * jnp.broadcast_to(scale.astype(dtype), x.shape)


def _update(x, q_dtype, scale, history):
  """The scale for this step, from the history, and the history with this step's largest value."""
  largest = jnp.max(history, axis=0)
  inverse = 1.0 / scale
  factor = _largest(q_dtype, jnp.float32) / largest
  factor = jnp.where(jnp.isfinite(largest), jnp.where(largest > 0.0, factor, inverse), inverse)
  history = jnp.roll(history, shift=-1, axis=0).at[0].set(jnp.max(jnp.abs(x)).astype(history.dtype))
  return 1.0 / factor, history


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _round_input(dtype, q_dtype, x, scale, history):
  """`x` as 8 bits would hold it; scale and history get their next values as gradients."""
  return _round_input_forward(dtype, q_dtype, x, scale, history)[0]


def _round_input_forward(dtype, q_dtype, x, scale, history):
  scale, history = _update(x, q_dtype, scale, history)
  return _dequantize(_quantize(x, q_dtype, scale, dtype), x.dtype, scale), (scale, history)


def _round_input_backward(dtype, q_dtype, state, g):
  return g, *state


_round_input.defvjp(_round_input_forward, _round_input_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _round_gradient(dtype, q_dtype, y, scale, history):
  """`y` as it is, with a gradient as 8 bits would hold it."""
  return y


def _round_gradient_forward(dtype, q_dtype, y, scale, history):
  return y, (scale, history)


def _round_gradient_backward(dtype, q_dtype, state, g):
  scale, history = _update(g, q_dtype, *state)
  return _dequantize(_quantize(g, q_dtype, scale, dtype), g.dtype, scale), scale, history


_round_gradient.defvjp(_round_gradient_forward, _round_gradient_backward)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _dot(x, y, dimensions):
  """A product in default precision, with derivatives in the highest."""
  return jax.lax.dot_general(x, y, dimensions, precision=jax.lax.Precision.DEFAULT)


@_dot.defjvp
def _dot_jvp(dimensions, primals, tangents):
  (x, y), (dx, dy) = primals, tangents
  dot = functools.partial(jax.lax.dot_general, dimension_numbers=dimensions, precision=jax.lax.Precision.HIGHEST)
  return _dot(x, y, dimensions), dot(dx, y) + dot(x, dy)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _quantize_input(dtype, x, scale, history) -> Any:
  """`x` in 8 bits and its scale; no gradient to `x`, the next values to scale and history."""
  return _quantize_input_forward(dtype, x, scale, history)[0]


def _quantize_input_forward(dtype, x, scale, history):
  scale, history = _update(x, jnp.float8_e4m3fn, scale, history)
  return (_quantize(x, jnp.float8_e4m3fn, scale, dtype), scale), (scale, history)


def _quantize_input_backward(dtype, state, _):
  return None, *state


_quantize_input.defvjp(_quantize_input_forward, _quantize_input_backward)


def _transposed(g, x_ndim, y, dimensions, dtype, swapped=False):
  """The gradient of a product to its first operand."""
  (x_contract, y_contract), (x_batch, y_batch) = dimensions
  x_kept = [i for i in range(x_ndim) if i not in (*x_contract, *x_batch)]
  y_kept = [i for i in range(y.ndim) if i not in (*y_contract, *y_batch)]
  batch = len(x_batch)
  start = batch if swapped else batch + len(x_kept)
  dims = ((tuple(range(start, start + len(y_kept))), tuple(y_kept)), (tuple(range(batch)), tuple(y_batch)))
  product = jax.lax.dot_general(g, y, dims, precision=jax.lax.Precision.HIGHEST, preferred_element_type=dtype)
  by_y = [x_contract[i] for i in sorted(range(len(y_contract)), key=lambda i: y_contract[i])]
  order = [*x_batch, *x_kept, *by_y]
  return jax.lax.transpose(product, tuple(sorted(range(len(order)), key=lambda i: order[i])))


@functools.partial(jax.custom_vjp, nondiff_argnums=(8, 9))
def _quantized_dot(x, qx, x_scale, y, qy, y_scale, g_scale, g_history, dimensions, dtype):
  """The product of the 8-bit operands; the gradient goes to the full ones, through 8-bit products as well."""
  return jax.lax.dot_general(qx, qy, dimensions, precision=jax.lax.Precision.DEFAULT, preferred_element_type=dtype)


def _quantized_dot_forward(x, qx, x_scale, y, qy, y_scale, g_scale, g_history, dimensions, dtype):
  out = _quantized_dot(x, qx, x_scale, y, qy, y_scale, g_scale, g_history, dimensions, dtype)
  return out, (x, qx, x_scale, y, qy, y_scale, g_scale, g_history)


def _quantized_dot_backward(dimensions, dtype, saved, g):
  x, qx, x_scale, y, qy, y_scale, g_scale, g_history = saved
  g_scale, g_history = _update(g, jnp.float8_e5m2, g_scale, g_history)
  qg = _quantize(g, jnp.float8_e5m2, g_scale, dtype)
  swapped = (dimensions[0][::-1], dimensions[1][::-1])
  dx = _dequantize(_transposed(qg, x.ndim, qy, dimensions, dtype), dtype, y_scale * g_scale)
  dy = _dequantize(_transposed(qg, y.ndim, qx, swapped, dtype, swapped=True), dtype, x_scale * g_scale)
  return dx, None, None, dy, None, None, g_scale, g_history


_quantized_dot.defvjp(_quantized_dot_forward, _quantized_dot_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _dequantize_output(dtype, x_scale, y_scale, out):
  return _dequantize(out, dtype, x_scale * y_scale)


def _dequantize_output_forward(dtype, x_scale, y_scale, out):
  return _dequantize_output(dtype, x_scale, y_scale, out), None


def _dequantize_output_backward(dtype, _, g):
  return None, None, g


_dequantize_output.defvjp(_dequantize_output_forward, _dequantize_output_backward)


class _Fp8(nnx.Module):
  """The state of a product in 8 bits: scale and history of input, kernel and gradient.

  Args:
    amax_history_length: how many steps' largest values are kept.
    e4m3_dtype: 8-bit type of input and kernel.
    e5m2_dtype: 8-bit type of the gradient.
  """

  def __init__(self, amax_history_length=1024, e4m3_dtype=jnp.float8_e4m3fn, e5m2_dtype=jnp.float8_e5m2):
    def scale():
      return OverwriteWithGradient(jnp.ones((1,), jnp.float32))

    def history():
      return OverwriteWithGradient(jnp.zeros((amax_history_length,), jnp.float32))

    self.input_scale, self.input_amax_history = scale(), history()
    self.kernel_scale, self.kernel_amax_history = scale(), history()
    self.output_grad_scale, self.output_grad_amax_history = scale(), history()
    self.e4m3_dtype = e4m3_dtype
    self.e5m2_dtype = e5m2_dtype

  def _direct(self, x, y, dimensions, dtype, compute_dtype):
    first: Any = _quantize_input(compute_dtype, x, self.input_scale[...], self.input_amax_history[...])
    second: Any = _quantize_input(compute_dtype, y, self.kernel_scale[...], self.kernel_amax_history[...])
    (qx, x_scale), (qy, y_scale) = first, second
    out = _quantized_dot(
      x, qx, x_scale, y, qy, y_scale, self.output_grad_scale[...], self.output_grad_amax_history[...], dimensions, dtype
    )
    return _dequantize_output(dtype, x_scale, y_scale, out)


class Fp8DotGeneralOp(_Fp8):
  """A `dot_general` whose operands and gradient are rounded to 8 bits, and multiplied in their own precision."""

  def __call__(self, x, y, dimension_numbers, **kwargs):
    """The product; `precision` and the rest of a `dot_general` are disregarded."""
    dtype = y.dtype
    x = jnp.asarray(x, dtype)
    x = _round_input(dtype, self.e4m3_dtype, x, self.input_scale[...], self.input_amax_history[...])
    y = _round_input(dtype, self.e4m3_dtype, y, self.kernel_scale[...], self.kernel_amax_history[...])
    out = _dot(x, y, dimension_numbers)
    scale, history = self.output_grad_scale[...], self.output_grad_amax_history[...]
    return _round_gradient(dtype, self.e5m2_dtype, out, scale, history)


class NANOOFp8DotGeneralOp(Fp8DotGeneralOp):
  """The same with the types of AMD's first generation."""

  def __init__(self, amax_history_length=1024, e4m3_dtype=jnp.float8_e4m3fnuz, e5m2_dtype=jnp.float8_e5m2fnuz):
    super().__init__(amax_history_length, e4m3_dtype, e5m2_dtype)


class Fp8DirectDotGeneralOp(_Fp8):
  """A `dot_general` that multiplies 8-bit operands, and scales the result."""

  def __call__(self, x, y, dimension_numbers, **kwargs):
    """The product; `precision` and the rest of a `dot_general` are disregarded."""
    x = jnp.asarray(x, y.dtype)
    return self._direct(x, y, dimension_numbers, y.dtype, y.dtype)


class Fp8Einsum(_Fp8):
  """An einsum of two operands that multiplies them in 8 bits."""

  def __call__(self, eqn, lhs, rhs, precision=None, preferred_element_type=None):
    """The einsum; `precision` is disregarded."""

    def dot(x, y, dimensions, precision=None, preferred_element_type=None, **kwargs) -> Any:
      return self._direct(x, y, dimensions, preferred_element_type, rhs.dtype)

    lhs = lhs.astype(rhs.dtype)
    return jnp.einsum(
      eqn, lhs, rhs, precision=precision, preferred_element_type=preferred_element_type, _dot_general=dot
    )
