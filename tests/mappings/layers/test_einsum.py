from mappings.layers.einsum import MAPPING
from migrate.core.declare import Sample, floats
from migrate.verify.conformance import assert_conforms, check


def test_conforms():
  assert_conforms(check(MAPPING))


def test_an_equation_given_at_the_call():
  sample = Sample({"shape": (7, 5)}, (floats(3, 2, 7),), {"einsum_str": "abc,cd->abd"})
  assert_conforms(check(MAPPING, sample))
