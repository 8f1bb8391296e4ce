import jax
import jax.numpy as jnp

from mappings.layers.dense import MAPPING
from migrate.core.declare import Sample, floats
from migrate.verify.conformance import assert_conforms, check


def test_conforms():
  assert_conforms(check(MAPPING))


def test_injected_functions_follow_nnx_conventions():
  def promote(*arrays, dtype=None):
    return [None if a is None else jnp.asarray(a, jnp.float32) for a in arrays]

  def dot_general(lhs, rhs, dimension_numbers, precision=None):
    return jax.lax.dot_general(lhs, rhs, dimension_numbers, precision) * 2

  fields = {"features": 5, "promote_dtype": promote, "dot_general": dot_general}
  assert_conforms(check(MAPPING, Sample(fields, (floats(3, 7),), half=False)))
