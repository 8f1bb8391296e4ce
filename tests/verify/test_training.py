"""Training goes on after the migration as if nothing had happened."""

import optax
import pytest

import migrate
from tests.verify import pairs

CHAIN = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(1e-2, 20)))


@pytest.mark.parametrize("optimizer", [optax.sgd(1e-2, momentum=0.9), CHAIN], ids=["momentum", "adamw"])
def test_statistics_dropout_and_optimizer_state_go_on_bitwise(optimizer):
  build = lambda rngs: pairs.NormsNnx(rngs=rngs)
  report = migrate.verify(pairs.norms_example, build, pairs.NORMS, optimizer=optimizer)
  training = report.examples[0].training
  assert report.verdict == "identical", report.findings
  assert training["verdict"] == "identical"
  assert training["linen_losses"] == training["nnx_losses"]
  assert len(training["nnx_losses"]) == 2
  assert training["state"]["compared"] >= 22


def test_statistics_that_are_not_updated_are_found():
  build = lambda rngs: pairs.NormsNnx(fault="statistics", rngs=rngs)
  report = migrate.verify(pairs.norms_example, build, pairs.NORMS, optimizer=optax.sgd(1e-2))
  assert report.examples[0].training["verdict"] == "different"
