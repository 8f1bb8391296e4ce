"""Spectral normalisation (https://arxiv.org/abs/1802.05957) that leaves the layer's weights alone."""

import jax
import jax.numpy as jnp
from flax import nnx


def _unit(x, epsilon):
  return x * jax.lax.rsqrt((x * x).sum(keepdims=True) + epsilon)


class SpectralNorm(nnx.Module):
  """Runs a layer with weights divided by their largest singular value, found by power iteration.

  Args:
    layer_instance: the layer; its own parameters stay what they are.
    n_steps: power iterations at each call.
    epsilon: added to squared norms.
    dtype: of the normalised weights; by default that of weights and vectors.
    param_dtype: of the vectors `u` and the values `sigma`.
    error_on_non_matrix: whether weights of more than two axes are refused rather than flattened.
    rngs: gives the first `u`.
  """

  def __init__(
    self,
    layer_instance,
    *,
    n_steps=1,
    epsilon=1e-12,
    dtype=None,
    param_dtype=jnp.float32,
    error_on_non_matrix=False,
    rngs,
  ):
    self.layer_instance = layer_instance
    self.n_steps = n_steps
    self.epsilon = epsilon
    self.dtype = dtype
    vectors, values = {}, {}
    for path, param in nnx.to_flat_state(nnx.state(layer_instance, nnx.Param)):
      if param.ndim > 2 and error_on_non_matrix:
        raise ValueError(f"{'/'.join(map(str, path))} has {param.ndim} axes, but error_on_non_matrix is set.")
      if param.ndim > 1 and n_steps > 0:
        name = "/".join(map(str, path))
        vectors[name] = nnx.BatchStat(jax.random.normal(rngs.params(), (1, param.shape[-1]), param_dtype))
        values[name] = nnx.BatchStat(jnp.ones((), param_dtype))
    self.u, self.sigma = nnx.Dict(vectors), nnx.Dict(values)

  def _normalized(self, name, weight, update_stats):
    value = weight.reshape((-1, weight.shape[-1]))
    u = self.u[name][...]
    v = u
    for _ in range(self.n_steps):
      v = _unit(jnp.matmul(u, value.transpose()), self.epsilon)
      u = _unit(jnp.matmul(v, value), self.epsilon)
    u, v = jax.lax.stop_gradient(u), jax.lax.stop_gradient(v)
    sigma = jnp.matmul(jnp.matmul(v, value), jnp.transpose(u))[0, 0]
    value /= jnp.where(sigma != 0, sigma, 1)
    if update_stats:
      self.u[name].set_value(u)
      self.sigma[name].set_value(jax.lax.stop_gradient(sigma))
    dtype = jnp.result_type(weight, u, v, sigma) if self.dtype is None else self.dtype
    return jnp.asarray(value.reshape(weight.shape), dtype)

  def __call__(self, *args, update_stats, **kwargs):
    """Calls the layer with normalised weights, and keeps the vectors where `update_stats`."""
    graph, params, others = nnx.split(self.layer_instance, nnx.Param, ...)
    flat = {}
    for path, param in nnx.to_flat_state(params):
      name = "/".join(map(str, path))
      flat[path] = param.replace(self._normalized(name, param[...], update_stats)) if name in self.u else param
    return nnx.merge(graph, nnx.from_flat_state(flat), others)(*args, **kwargs)
