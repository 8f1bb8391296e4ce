import jax
import jax.numpy as jnp

from mappings.layers.conv import MAPPING
from migrate.core.declare import Sample, floats
from migrate.verify.conformance import assert_conforms, check


def test_conforms():
  assert_conforms(check(MAPPING))


def test_a_mask_and_an_injected_convolution():
  def convolve(lhs, rhs, strides, padding, **kwargs):
    return jax.lax.conv_general_dilated(lhs, rhs, strides, padding, **kwargs) * 2

  mask = jnp.arange(3 * 2 * 5).reshape(3, 2, 5) % 3 > 0
  fields = {"features": 5, "kernel_size": (3,), "mask": mask, "conv_general_dilated": convolve}
  assert_conforms(check(MAPPING, Sample(fields, (floats(2, 7, 2),), half=False)))
