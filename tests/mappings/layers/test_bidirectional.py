from flax import linen as nn

from mappings.layers.bidirectional import MAPPING
from migrate.core.declare import Sample, floats
from migrate.verify.conformance import assert_conforms, check


def test_conforms():
  fields = {"forward_rnn": nn.RNN(nn.LSTMCell(5)), "backward_rnn": nn.RNN(nn.MGUCell(3))}
  assert_conforms(check(MAPPING, Sample(fields, (floats(2, 5, 7),))))
