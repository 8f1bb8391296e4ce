import jax.numpy as jnp
from flax import linen as nn

from mappings.layers.rnn import MAPPING
from migrate.core.declare import Sample, floats
from migrate.verify.conformance import assert_conforms, check


def test_conforms():
  backwards = {"cell": nn.OptimizedLSTMCell(5), "reverse": True, "keep_order": True, "return_carry": True}
  assert_conforms(
    check(
      MAPPING,
      Sample({"cell": nn.GRUCell(5)}, (floats(2, 5, 7),)),
      Sample(backwards, (floats(2, 5, 7),), {"seq_lengths": jnp.array([3, 5])}),
      Sample({"cell": nn.ConvLSTMCell(2, (3,)), "time_major": True}, (floats(2, 3, 7, 5),)),
    )
  )
