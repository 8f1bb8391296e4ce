"""Attention by Linen's own arguments, to the bit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mappings.templates.linen_attention import dot_product_attention

Q, K, V = (jax.random.normal(jax.random.key(i), (2, n, 2, 5)) for i, n in enumerate((3, 7, 7)))
MASK = jnp.arange(7)[None, None, None, :] < 4
CASES = {
  "plain": {},
  "mask": {"mask": MASK},
  "bias": {"bias": jnp.linspace(-1, 1, 7)[None, None, None, :]},
  "mask and bias": {"mask": MASK, "bias": jnp.ones((1, 1, 3, 7))},
  "dropout": {"dropout_rng": jax.random.key(9), "dropout_rate": 0.5, "deterministic": False},
  "dropout of its own for each": {
    "dropout_rng": jax.random.key(9), "dropout_rate": 0.5, "deterministic": False, "broadcast_dropout": False
  },
  "dtype": {"dtype": jnp.bfloat16},
  "softmax in float32": {"dtype": jnp.bfloat16, "force_fp32_for_softmax": True},
  "precision": {"precision": jax.lax.Precision.HIGHEST},
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_agrees_to_the_bit(name):
  ours = dot_product_attention(Q, K, V, **CASES[name])
  wanted = nn.dot_product_attention(Q, K, V, **CASES[name])
  assert ours.dtype == wanted.dtype
  np.testing.assert_array_equal(np.asarray(ours, np.float32), np.asarray(wanted, np.float32))


def test_positional_arguments_are_linen_s():
  bias, mask = jnp.ones((1, 1, 3, 7)), MASK
  np.testing.assert_array_equal(
    dot_product_attention(Q, K, V, bias, mask), nn.dot_product_attention(Q, K, V, bias, mask)
  )
