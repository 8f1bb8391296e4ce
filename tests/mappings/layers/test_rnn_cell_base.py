from mappings.layers.rnn_cell_base import MAPPING
from migrate.verify.signature import check_signature


def test_the_record_accounts_for_everything():
  assert not check_signature(MAPPING)
