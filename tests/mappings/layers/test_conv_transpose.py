from mappings.layers.conv_transpose import MAPPING
from migrate.verify.conformance import assert_conforms, check


def test_conforms():
  assert_conforms(check(MAPPING))
