import jax.numpy as jnp
from flax import linen as nn

from mappings.layers.spectral_norm import MAPPING
from migrate.core.declare import Sample, floats
from migrate.verify.conformance import assert_conforms, check


def test_conforms():
  half = {"layer_instance": nn.Dense(5, param_dtype=jnp.bfloat16), "dtype": jnp.bfloat16}
  conv = {"layer_instance": nn.Conv(5, (3,)), "n_steps": 3}
  assert_conforms(
    check(
      MAPPING,
      Sample({"layer_instance": nn.Dense(5)}, (floats(2, 7),), {"update_stats": True}, half=False),
      Sample(conv, (floats(2, 7, 3),), {"update_stats": False}, half=False, name="frozen"),
      Sample(conv, (floats(2, 7, 3),), {"update_stats": True}, half=False, name="three steps"),
      Sample(half, (floats(2, 7),), {"update_stats": True}, half=False, name="bfloat16"),
    )
  )
