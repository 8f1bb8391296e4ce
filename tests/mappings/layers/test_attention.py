import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from mappings.layers.attention import MAPPINGS
from migrate.core.declare import Sample, floats
from migrate.verify.arrays import unflatten
from migrate.verify.conformance import Pair, assert_conforms, check, fill
from migrate.verify.construct import resolve

MAPPING = MAPPINGS[0]


@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda m: m.linen.rpartition(".")[2])
def test_conforms(mapping):
  assert_conforms(check(mapping))


def test_a_function_written_for_linen_gets_the_keywords_that_it_names():
  def attend(query, key, value, mask=None):
    weights = jax.nn.softmax(jnp.einsum("...qhd,...khd->...hqk", query, key))
    return jnp.einsum("...hqk,...khd->...qhd", weights, value)

  fields = {"num_heads": 2, "qkv_features": 6, "attention_fn": attend}
  assert_conforms(check(MAPPING, Sample(fields, (floats(3, 5, 7),)), signatures=False))


def test_softmax_in_float32():
  fields = {"num_heads": 2, "qkv_features": 6, "force_fp32_for_softmax": True, "dtype": jnp.bfloat16}
  assert_conforms(check(MAPPING, Sample(fields, (floats(3, 5, 7),), half=False), signatures=False))


def test_the_weights_are_sown():
  pair = Pair.make(MAPPING, Sample({"num_heads": 2, "qkv_features": 6}, (floats(3, 5, 7),)), exact=True)
  _, sown = pair.layer.apply(unflatten(pair.variables), *pair.args, sow_weights=True, mutable=["intermediates"])
  _, ours = nnx.capture(pair.model, nnx.Intermediate)(*pair.args, sow_weights=True)
  assert jnp.array_equal(sown["intermediates"]["attention_weights"][0], jax.tree.leaves(ours)[0])


@pytest.mark.parametrize("dtype", [None, jnp.bfloat16])
def test_decoding_step_by_step(dtype):
  fields = {"num_heads": 2, "qkv_features": 6, "decode": True, "dtype": dtype}
  given = {k: v for k, v in fields.items() if v is not None}
  length = 5
  x = jax.random.normal(jax.random.key(0), (3, length, 7))
  layer = resolve(MAPPING.linen)(**given)
  variables = layer.init(jax.random.key(1), x)
  sample = Sample({**given, "decode": False}, (floats(3, length, 7),))
  pair = Pair.make(MAPPING, sample, exact=True)
  assert MAPPING.setup[0].code == "{layer}.init_cache({shape}, dtype={dtype})"
  pair.model.init_cache(x.shape, dtype=jnp.float32 if dtype is None else dtype)
  pair.model.decode = True
  fill(pair.model, {path[1:]: v for path, v in pair.variables.items()} | _cache(variables["cache"]))
  state = {**unflatten(pair.variables), "cache": variables["cache"]}
  step = jax.jit(lambda state, x: layer.apply(state, x, mutable=["cache"]))
  ours = nnx.jit(lambda model, x: model(x))
  for i in range(length):
    y, updated = step(state, x[:, i : i + 1])
    state = {**state, **updated}
    assert jnp.array_equal(y, ours(pair.model, x[:, i : i + 1]))
  for path, value in _cache(state["cache"]).items():
    assert jnp.array_equal(value, getattr(pair.model, path[0])[...])


def _cache(cache):
  return {(name,): value for name, value in cache.items()}
