"""Planning the conversion of a training state: steps, and what a checkpoint cannot hold."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.core.declare import ModelMapping, fresh
from migrate.core.report import MigrateError
from migrate.core.training import split_linen
from migrate.workflows.convert_forward import plan_state, saved_step

OPT = {("opt_state", 0, "count"): np.array(7, np.int32), ("params", "a"): np.ones(2)}


def test_step_of_the_state_of_the_folder_of_the_optimizer():
  assert saved_step(split_linen({**OPT, ("step",): np.array(3)}), 9) == (3, ())
  assert saved_step(split_linen(OPT), 9)[0] == 9
  step, notes = saved_step(split_linen(OPT), None)
  assert step == 7
  assert "count" in notes[0]
  assert saved_step(split_linen({("params", "a"): np.ones(2)}), 9) == (None, ())


@pytest.mark.parametrize("step", [np.array(1.5), np.array([1]), np.array(-1)])
def test_steps_that_are_none(step):
  with pytest.raises(MigrateError, match="whole number"):
    saved_step(split_linen({**OPT, ("step",): step}), None)


def test_optimizer_without_any_step_is_refused():
  with pytest.raises(MigrateError, match="no step"):
    saved_step(split_linen({("opt_state", 0, "x"): np.ones(2), ("params", "a"): np.ones(2)}), None)


def test_fresh_targets_need_a_live_model():
  nnx = pytest.importorskip("flax.nnx")

  class Model(nnx.Module):
    def __init__(self):
      self.a = nnx.Param(np.ones(2))
      self.b = nnx.Param(np.ones(2))

  state = split_linen({("params", "a"): np.ones(2)})
  mapping = ModelMapping((fresh("b", because="new"),))
  with pytest.raises(MigrateError, match=r"migrate\.restore"):
    plan_state(state, mapping, Model(), None)
  plan, optimizer, _ = plan_state(state, mapping, Model(), None, fresh=True)
  assert plan.complete
  assert optimizer is None
