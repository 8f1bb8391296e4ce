from mappings.layers.optimized_lstm_cell import ALTERNATIVES, MAPPING
from migrate.verify.conformance import assert_conforms, check


def test_conforms():
  assert_conforms(check(MAPPING))


def test_stock_holds_the_same_weights():
  assert_conforms(check(ALTERNATIVES[0]))
