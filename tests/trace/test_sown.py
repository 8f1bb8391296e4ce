"""What a Linen model sows."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from migrate.example import Example
from migrate.trace.run import trace
from migrate.trace.sown import sowing


class Gate(nn.Module):
  """Sows a sum and a list, and keeps a tuple as state."""

  @nn.compact
  def __call__(self, x):
    h = nn.Dense(3)(x)
    self.sow("losses", "load", jnp.mean(h), reduce_fn=lambda a, b: a + b, init_fn=lambda: 0.0)
    self.sow("metrics", "hidden", h)
    self.variable("cache", "pair", lambda: (jnp.zeros(2), jnp.ones(2)))
    return h


class Gates(nn.Module):
  """Two of them, one mapped over its batch."""

  @nn.compact
  def __call__(self, x):
    axes = {"params": None, "losses": 0, "metrics": 0, "cache": 0}
    mapped = nn.vmap(Gate, variable_axes=axes, split_rngs={"params": False})
    return mapped(name="mapped")(x) + Gate()(x)


def initialized():
  with sowing() as sown:
    variables = jax.eval_shape(Gates().init, jax.random.key(0), jnp.zeros((2, 5)))
  return sown, variables


def test_what_init_sowed_is_known_by_its_path():
  sown, _ = initialized()
  assert sown.paths == {(c, m, n) for m in ("mapped", "Gate_0") for c, n in (("losses", "load"), ("metrics", "hidden"))}
  assert ("metrics", "Gate_0", "hidden", "0") in sown
  assert ("metrics", "Gate_0", "hid") not in sown
  assert ("intermediates", "anything") in sown


def test_state_stays_tuples_of_it_too():
  sown, variables = initialized()
  kept = sown.left_out_of(variables)
  assert sorted(kept["cache"]["mapped"]) == ["pair"]
  assert sorted(kept["params"]) == ["Gate_0", "mapped"]
  assert kept["losses"] == {"mapped": {}, "Gate_0": {}}


def test_sow_is_itself_again_afterwards():
  before = nn.Module.sow
  initialized()
  assert nn.Module.sow is before


def test_trace_tells_what_init_sowed():
  fact = trace(Example(Gate(), (jax.ShapeDtypeStruct((2, 5), jnp.float32),)))
  assert fact.sown.paths == {("losses", "load"), ("metrics", "hidden")}
