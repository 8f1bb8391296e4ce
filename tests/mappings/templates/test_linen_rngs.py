"""A run with dropout that began in Linen goes on in NNX with Linen's own masks, to the bit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import migrate
from mappings.templates.linen_rngs import LinenStream, draw_as_linen, set_rngs
from migrate.verify.linen_draws import linen_draws
from tests.verify.test_draws import BLOCKS, OWN, Own, OwnNnx, Scanned, ScannedNnx, SplitAtCallNnx, X

TX = optax.adam(1e-2)
PAIRS = {
  "scan over layers": (Scanned(), ScannedNnx, BLOCKS, ("dropout",)),
  "scan and remat": (Scanned(True), lambda rngs: ScannedNnx(rngs, True), BLOCKS, ("dropout",)),
  "one stream split at the call": (Scanned(), SplitAtCallNnx, BLOCKS, ("dropout",)),
  "shared, thrice, and a stream of its own": (Own(), OwnNnx, OWN, ("dropout", "noise")),
}


def keys(names, step):
  return {name: jax.random.fold_in(jax.random.key(7 + i), step) for i, name in enumerate(names)}


@pytest.mark.parametrize("name", PAIRS)
def test_training_goes_on_to_the_bit(name):
  linen, make, mapping, streams = PAIRS[name]
  params = linen.init({n: jax.random.key(1) for n in ("params", *streams)}, X)["params"]
  state = TX.init(params)

  @jax.jit
  def linen_step(params, state, rngs):
    value, grads = jax.value_and_grad(lambda p: (linen.apply({"params": p}, X, rngs=rngs) ** 2).mean())(params)
    updates, state = TX.update(grads, state, params)
    return optax.apply_updates(params, updates), state, value

  for i in range(2):
    params, state, _ = linen_step(params, state, keys(streams, i))

  def build():
    return make(nnx.Rngs(**{n: i for i, n in enumerate(("params", *streams))}))

  draws = linen_draws(migrate.Example(linen, (X,), rngs=streams), nnx.eval_shape(build))
  model = draw_as_linen(migrate.to_nnx({"params": params}, build(), mapping), draws)
  optimizer = migrate.optimizer_to_nnx(state, nnx.Optimizer(model, TX, wrt=nnx.Param), mapping, step=2)

  @nnx.jit
  def nnx_step(model, optimizer, rngs):
    set_rngs(model, **rngs)
    value, grads = nnx.value_and_grad(lambda m: (m(X) ** 2).mean())(model)
    optimizer.update(model, grads)
    return value

  for i in range(2, 5):
    params, state, value = linen_step(params, state, keys(streams, i))
    assert nnx_step(model, optimizer, keys(streams, i)) == value
  for one, other in zip(
    jax.tree.leaves(params), jax.tree.leaves(migrate.to_linen(model, mapping)["params"]), strict=True
  ):
    np.testing.assert_array_equal(one, other)


def stream(*folds):
  made = draw_as_linen(nnx.Dropout(0.5, rngs=nnx.Rngs(0)), {"rngs": ("dropout", folds)})
  return made.rngs


def test_draws_beyond_the_recorded_ones_have_keys_of_their_own():
  one = stream(3, 5)
  found = [tuple(jax.random.key_data(one()).tolist()) for _ in range(5)]
  assert len(set(found)) == 5


def test_root_keys_of_both_kinds_and_the_stream_params_for_what_is_not_given():
  model = draw_as_linen(nnx.Dropout(0.5, rngs=nnx.Rngs(0)), {"rngs": ("dropout", (3,))})
  set_rngs(model, dropout=jax.random.PRNGKey(4))
  first = model.rngs()
  set_rngs(model, params=jax.random.key(4))
  assert first == model.rngs() == jax.random.fold_in(jax.random.key(4), 3)
  with pytest.raises(ValueError, match="no key for the stream 'dropout'"):
    set_rngs(model, noise=jax.random.key(4))


def test_a_shared_stream_stays_shared_and_the_state_goes_through_split():
  class Two(nnx.Module):
    def __init__(self, rngs):
      self.one = nnx.Dropout(0.5, rngs=rngs)
      self.two = nnx.Dropout(0.5)
      self.two.rngs = self.one.rngs

  model = draw_as_linen(Two(nnx.Rngs(0)), {"one/rngs": ("dropout", (1, 2))})
  assert isinstance(model.one.rngs, LinenStream)
  assert model.one.rngs is model.two.rngs
  again = nnx.merge(*nnx.split(model))
  assert again.two.rngs.folds == (1, 2)


def test_a_stream_that_is_not_there_is_named():
  with pytest.raises(ValueError, match="no random stream drop/rngs in the model, which has rngs"):
    draw_as_linen(nnx.Dropout(0.5, rngs=nnx.Rngs(0)), {"drop/rngs": ("dropout", (1,))})


def test_layers_side_by_side_have_keys_of_their_own():
  made = stream(1).split(3)
  assert made.key.shape == (3,)
  assert made.folds == (1,)
  assert jnp.unique(jax.random.key_data(made.key[...]), axis=0).shape[0] == 3
