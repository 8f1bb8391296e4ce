"""Sizes that a list of axes picks from a shape."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

DENSE = """
    import numpy as np
    from jax import lax

    def _normalize(axes, ndim):
      return tuple(a if a >= 0 else ndim + a for a in axes)

    class Dense(nn.Module):
      features: Sequence[int] | int
      axis: Sequence[int] | int = -1

      @nn.compact
      def __call__(self, inputs):
        features = (self.features,) if isinstance(self.features, int) else tuple(self.features)
        axis = (self.axis,) if isinstance(self.axis, int) else tuple(self.axis)
        axis = _normalize(axis, inputs.ndim)
        PARAM
        return lax.dot_general(inputs, kernel, ((axis, tuple(range(len(axis)))), ((), ())))

    class Attention(nn.Module):
      heads: int = 3
      dim: int = 4

      @nn.compact
      def __call__(self, q, kv):
        query = Dense((self.heads, self.dim), name="query")(q)
        key = Dense((self.heads, self.dim), name="key")(kv)
        w = jnp.einsum("bqhd,bkhd->bhqk", query, key)
        x = jnp.einsum("bhqk,bkhd->bqhd", nn.softmax(w), key)
        return Dense(q.shape[-1], axis=(-2, -1), name="out")(x)
    """
WAYS = {
  "in_shape + features": """shape = tuple(inputs.shape[a] for a in axis) + features
        kernel = self.param("kernel", nn.initializers.normal(), shape)""",
  "(np.prod(in_shape), np.prod(features))": """shape = (np.prod([inputs.shape[a] for a in axis]), np.prod(features))
        kernel = self.param("kernel", nn.initializers.normal(), shape)
        kernel = kernel.reshape([inputs.shape[a] for a in axis] + list(features))""",
  "(*in_shape, *features)": """kernel = self.param(
          "kernel", nn.initializers.normal(), (*[inputs.shape[a] for a in axis], *features)
        )""",
}


@pytest.mark.parametrize("shape", WAYS)
def test_picked_sizes_are_one_argument_that_fits_any_number_of_axes(tmp_path, shape):
  source = DENSE.replace("PARAM", WAYS[shape])
  example = "Attention(), x(2, 5, 6), x(2, 7, 8)"
  ported = port_and_check(tmp_path, source, example, held_out=["Attention(2, 5), x(3, 4, 9), x(3, 2, 7)"])
  assert f"nnx.Param(nnx.initializers.normal()(rngs.params(), {shape}))" in ported.text
  assert "in_shape: tuple" in ported.text
  assert "self.query = Dense((in_features,), (self.heads, self.dim), rngs=rngs)" in ported.text
  assert "self.out = Dense((self.heads, self.dim), in_features, axis=(-2, -1), rngs=rngs)" in ported.text
  assert "shape = " not in ported.text.partition("class Attention")[0].partition("def __call__")[2]


def test_an_axis_that_is_written_out_stays_a_size_of_its_own(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        sizes = [x.shape[a] for a in (1, 2) if a > 0]
        w = self.param("w", nn.initializers.normal(), (x.shape[-1], 3))
        return (x @ w) / len(sizes)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4, 5)", held_out=["Model(), x(2, 3, 7)"])
  assert "in_shape" not in ported.text
  assert "(in_features, 3)" in ported.text


def test_axes_of_which_there_are_none(tmp_path):
  source = """
    class Dense(nn.Module):
      features: int
      batch: Sequence[int] = ()

      @nn.compact
      def __call__(self, x):
        shape = tuple(x.shape[a] for a in self.batch) + (x.shape[-1], self.features)
        return x @ self.param("kernel", nn.initializers.normal(), shape)

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = nn.relu(Dense(7, name="first")(x))
        return Dense(3, name="second")(x)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)")
