"""Plans that change what an optimizer computes are told from those that do not."""

from __future__ import annotations

import jax.numpy as jnp
import optax
import pytest

from migrate.core.arithmetic import CHANGE, FLAT, open_question, optimizer_changes
from migrate.core.declare import ModelMapping, copy, move
from migrate.core.ops import Concatenate, Transpose
from migrate.core.plan import make_plan
from migrate.core.tree import NOTHING, spec_of
from migrate.workflows.state import optax_leaves

PARAMS = {"k": {"kernel": jnp.ones((4, 3))}, "q": {"kernel": jnp.ones((4, 3))}}
JOINED = ModelMapping((move(["params/q/kernel", "params/k/kernel"], "qk/kernel", Concatenate()),))
TURNED = ModelMapping((move("params/{a}/kernel", "{a}/kernel", Transpose((1, 0))),))
RENAMED = ModelMapping((move("params/k/**", "keys/**"), move("params/q/**", "queries/**")))
SWAPPED = ModelMapping((move("params/k/**", "second/**"), move("params/q/**", "first/**")))


def changes(tx, mapping, *, told=True):
  plan = make_plan({"params": PARAMS}, None, mapping)
  state = {p: spec_of(x) for p, x in optax_leaves(tx.init(PARAMS))[0].items()}
  return [f.rule for f in optimizer_changes(plan, state, tx if told else None)]


@pytest.mark.parametrize(
  "tx", [optax.lamb(0.1), optax.lars(0.1), optax.chain(optax.clip_by_block_rms(1.0), optax.adam(0.1))]
)
def test_joining_is_told_by_the_transformation(tx):
  assert changes(tx, JOINED) == [CHANGE]
  assert changes(tx, TURNED) == []
  assert changes(tx, RENAMED) == []


def test_a_copy_is_trained_apart():
  copied = ModelMapping((copy("params/q/kernel", "twin"),))
  assert changes(optax.adam(0.1), copied) == changes(optax.adam(0.1), copied, told=False) == [CHANGE]
  plan = make_plan({"params": PARAMS}, None, copied)
  state = {(0, "mu", name, "kernel"): NOTHING if name == "q" else spec_of(PARAMS[name]["kernel"]) for name in "qk"}
  assert optimizer_changes(plan, state) == []  # it is not trained


@pytest.mark.parametrize("tx", [optax.adamw(0.1), optax.sgd(0.1, momentum=0.9), optax.lion(0.1)])
def test_numbers_by_themselves_may_be_joined(tx):
  assert changes(tx, JOINED) == changes(tx, TURNED) == changes(tx, SWAPPED) == []


@pytest.mark.parametrize("told", [True, False])
def test_states_of_their_own_kind_tell_it_alone(told):
  assert changes(optax.contrib.muon(0.1), JOINED, told=told) == [CHANGE]
  assert changes(optax.adafactor(0.1), TURNED, told=told) == [CHANGE]


@pytest.mark.parametrize("told", [True, False])
def test_noise_is_drawn_in_the_order_of_the_names(told):
  tx = optax.noisy_sgd(0.1, key=0)
  assert changes(tx, SWAPPED, told=told) == [CHANGE]
  assert changes(tx, RENAMED, told=told) == []


@pytest.mark.parametrize("told", [True, False])
def test_one_flat_vector_is_never_carried_into_another_order(told):
  tx = optax.flatten(optax.adam(0.1))
  assert changes(tx, RENAMED, told=told) == []
  assert changes(tx, SWAPPED, told=told) == changes(tx, TURNED, told=told) == [FLAT]


def test_numbered_layers_change_places():
  params = {"params": {f"layers_{i}": {"kernel": jnp.ones(3)} for i in range(11)}}
  plan = make_plan(params, None, ModelMapping((move("params/layers_{i}/**", "layers/{i}/**"),)))
  (found,) = optimizer_changes(plan, {("key",): spec_of(jnp.ones(2))}, optax.add_noise(0.1, 0.1, 0))
  assert "layers/2/kernel comes before layers/10/kernel" in found.found


def test_what_is_not_trained_may_be_joined():
  plan = make_plan({"params": PARAMS}, None, JOINED)
  state = {("mu", "k", "kernel"): NOTHING, ("mu", "q", "kernel"): NOTHING}
  assert optimizer_changes(plan, state, optax.lamb(0.1)) == []


def test_what_the_state_cannot_tell_is_asked():
  plan = make_plan({"params": PARAMS}, None, JOINED)
  state = {("0", "mu", "k", "kernel"): spec_of(jnp.ones((4, 3)))}
  assert "give --optimizer" in open_question(plan, state)
  assert open_question(plan, state, optax.adam(0.1)) == ""
  assert open_question(make_plan({"params": PARAMS}, None, RENAMED), state) == ""
