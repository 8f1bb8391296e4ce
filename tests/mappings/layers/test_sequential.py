from flax import linen as nn

from mappings.layers.sequential import MAPPING
from migrate.core.declare import Sample, floats
from migrate.verify.conformance import assert_conforms, check


def test_conforms():
  layers = [nn.Dense(5), nn.relu, nn.LayerNorm(), nn.Dense(3)]
  assert_conforms(check(MAPPING, Sample({"layers": layers}, (floats(2, 7),))))
