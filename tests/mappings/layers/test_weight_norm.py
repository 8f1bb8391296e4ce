import jax.numpy as jnp
from flax import linen as nn

from mappings.layers.weight_norm import MAPPING
from migrate.core.declare import Sample, floats
from migrate.verify.conformance import assert_conforms, check


def test_conforms():
  half = {"layer_instance": nn.Dense(5, param_dtype=jnp.bfloat16), "dtype": jnp.bfloat16}
  assert_conforms(
    check(
      MAPPING,
      Sample({"layer_instance": nn.Dense(5)}, (floats(2, 7),), half=False),
      Sample({"layer_instance": nn.Dense(5), "use_scale": False}, (floats(2, 7),), half=False, name="no scale"),
      Sample(
        {"layer_instance": nn.Conv(5, (3,)), "variable_filter": None, "feature_axes": None},
        (floats(2, 7, 3),),
        half=False,
        name="one norm",
      ),
      Sample(half, (floats(2, 7),), half=False, name="bfloat16"),
    )
  )
