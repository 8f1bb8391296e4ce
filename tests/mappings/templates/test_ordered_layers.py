"""Layers by name in the order in which they were given."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from flax import nnx

from mappings.templates.ordered_layers import OrderedLayers


def layers() -> OrderedLayers:
  rngs = nnx.Rngs(0)
  return OrderedLayers({"second": nnx.Linear(2, 3, rngs=rngs), "first": nnx.Linear(2, 4, rngs=rngs)})


def test_order_survives_split_and_merge():
  made = layers()
  again = nnx.merge(*nnx.split(made))
  for one in (made, again, nnx.clone(again)):
    assert list(one) == ["second", "first"]
    assert [v.out_features for v in one.values()] == [3, 4]
    assert len(one) == 2
    assert "_order" not in list(one)
  x = jnp.ones((1, 2))
  np.testing.assert_array_equal(again["first"](x), made["first"](x))


def test_state_and_changes_are_those_of_a_dict():
  made = layers()
  assert sorted(nnx.to_pure_dict(nnx.state(made))) == ["first", "second"]
  made["third"] = nnx.Linear(2, 5, rngs=nnx.Rngs(0))
  del made["second"]
  assert list(made) == ["first", "third"]
