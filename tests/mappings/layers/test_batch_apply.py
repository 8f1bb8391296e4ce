import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from mappings.layers.batch_apply import MAPPING
from migrate.verify.construct import resolve
from migrate.verify.signature import check_signature


def test_the_record_accounts_for_everything():
  assert not check_signature(MAPPING)


def test_axes_are_merged_and_split():
  def f(x, w):
    assert (x.ndim, w.ndim) == (2, 1)
    return {"y": x @ w, "z": x}

  x, w = jax.random.normal(jax.random.key(0), (2, 3, 5)), jnp.arange(5.0)
  linen, ours = nn.BatchApply(f)(x, w), resolve(MAPPING.nnx)(f)(x, w)
  assert jax.tree.all(jax.tree.map(jnp.array_equal, linen, ours))
  with pytest.raises(ValueError, match="axes"):
    resolve(MAPPING.nnx)(f)(w)
