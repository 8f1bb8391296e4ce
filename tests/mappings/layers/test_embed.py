import jax.numpy as jnp
from flax import linen as nn

from mappings.layers.embed import MAPPING
from migrate.verify.arrays import unflatten
from migrate.verify.conformance import Pair, assert_conforms, check


def test_conforms():
  assert_conforms(check(MAPPING))


def test_attend():
  pair = Pair.make(MAPPING, MAPPING.example()[0])
  query = jnp.arange(15.0).reshape(3, 5)
  linen = pair.layer.apply(unflatten(pair.variables), query, method=nn.Embed.attend)
  assert jnp.array_equal(linen, pair.model.attend(query))
