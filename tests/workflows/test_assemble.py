"""Several checkpoints into one model, and nothing allocated that is thrown away."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import migrate
from migrate.core.declare import ModelMapping, drop, move
from migrate.core.ops import Stack
from migrate.core.report import MigrateError

SIZE = 64
BASE = {"params": {f"Dense_{i}": {"kernel": np.full((SIZE, SIZE), i, "float32")} for i in range(3)}}


class Lora(nnx.Module):
  """A base kernel and what is trained beside it."""

  def __init__(self, rngs, made):
    init = lambda name, std: lambda k, s, d=jnp.float32: made(name, k) or std * jax.random.normal(k, s, d)
    self.kernel = nnx.Param(init("kernel", 1.0)(rngs.params(), (SIZE, SIZE)))
    self.lora_a = nnx.Param(init("lora_a", 1.0)(rngs.params(), (SIZE, 2)))
    self.lora_b = nnx.Param(jnp.zeros((2, SIZE)))
    self.scale = jnp.asarray(0.5)  # an array outside Variables
    self.dropout = nnx.Dropout(0.1, rngs=rngs)


class Model(nnx.Module):
  def __init__(self, rngs, made=lambda name, key: None):
    self.layers = nnx.List([Lora(rngs, made) for _ in range(3)])


MAPPING = ModelMapping((move("params/Dense_{i}/**", "layers/{i}/**"),))


def test_only_what_no_source_fills_is_made():
  """The base kernels are never allocated by their initializers: those only ever see tracers."""
  seen = []
  others = jax.live_arrays()  # held, so that no array made here takes the place of one that went
  before = {id(a) for a in others}
  build = lambda rngs: Model(rngs, lambda name, key: seen.append((name, isinstance(key, jax.core.Tracer))) and None)
  model = migrate.assemble(build, migrate.Source(BASE, MAPPING), fresh=["**/lora_a", "**/lora_b"])
  assert all(traced for _, traced in seen)
  made = [a for a in jax.live_arrays() if id(a) not in before]
  large = [a for a in made if a.shape == (SIZE, SIZE)]
  assert len(large) == 3
  leaves = jax.tree.leaves(nnx.state(model))
  assert sum(a.nbytes for a in made) <= sum(x.nbytes for x in leaves) + 1024
  for i, layer in enumerate(model.layers):
    assert np.array_equal(layer.kernel.get_value(), BASE["params"][f"Dense_{i}"]["kernel"])


def test_fresh_leaves_are_those_of_the_models_own_initializers():
  model = migrate.assemble(Model, migrate.Source(BASE, MAPPING), fresh=True, seed=7)
  usual = Model(nnx.Rngs(7))
  for ours, theirs in zip(model.layers, usual.layers, strict=True):
    assert np.array_equal(ours.lora_a.get_value(), theirs.lora_a.get_value())
    assert np.array_equal(ours.scale, theirs.scale)
    assert ours.dropout.rngs.count.get_value() == theirs.dropout.rngs.count.get_value()
  out = model.layers[0].dropout(jnp.ones((4, 4)))
  assert np.array_equal(out, usual.layers[0].dropout(jnp.ones((4, 4))))


class Both(nnx.Module):
  def __init__(self, rngs):
    self.vision = nnx.Linear(3, 4, rngs=rngs)
    self.text = nnx.Embed(7, 4, rngs=rngs)
    self.blocks = nnx.Param(jnp.zeros((2, 4)))
    self.head = nnx.Linear(4, 2, rngs=rngs)


VISION = {"params": {"Dense_0": {"kernel": np.ones((3, 4), "float32"), "bias": np.zeros(4, "float32")}}}
TEXT = {
  "params": {
    "Embed_0": {"embedding": np.full((7, 4), 2, "float32")},
    "b_0": np.zeros(4, "float32"),
    "b_1": np.ones(4, "float32"),
    "lm_head": {"kernel": np.ones((4, 7), "float32")},
  }
}
TO_VISION = ModelMapping((move("params/Dense_0/**", "vision/**"),))
TO_TEXT = ModelMapping(
  (
    move("params/Embed_0/**", "text/**"),
    move("params/b_{i}", "blocks", Stack()),
    drop("params/lm_head/**", because="the new head is another"),
  )
)


def test_several_checkpoints_become_one_model(tmp_path):
  np.savez(tmp_path / "vision.npz", **{f"params/Dense_0/{k}": v for k, v in VISION["params"]["Dense_0"].items()})
  sources = (migrate.Source(tmp_path / "vision.npz", TO_VISION), migrate.Source(TEXT, TO_TEXT))
  model = migrate.assemble(Both, *sources, fresh=["head/**"])
  assert model.vision.kernel.get_value().sum() == 12
  assert model.blocks.get_value()[:, 0].tolist() == [0, 1]
  assert np.abs(model.head.kernel.get_value()).sum() > 0


def test_parts_of_a_source():
  source = migrate.Source(TEXT, TO_TEXT, only=["params/Embed_0/**"])
  model = migrate.assemble(Both, source, fresh=True)
  assert (model.text.embedding.get_value() == 2).all()


@pytest.mark.parametrize(
  ("sources", "fresh", "said"),
  [
    ((migrate.Source(VISION, TO_VISION),), ["head/**"], "no source fills it"),
    ((migrate.Source(VISION, TO_VISION), migrate.Source(VISION, TO_VISION)), True, "sources 1 and 2 both fill it"),
    ((migrate.Source(VISION),), True, "has no place"),
    ((migrate.Source({"params": {"head": {"kernel": np.ones((4, 3), "float32")}}}),), True, r"float32\[4, 2\]"),
  ],
)
def test_what_does_not_fit(sources, fresh, said):
  with pytest.raises(MigrateError, match=said):
    migrate.assemble(Both, *sources, fresh=fresh)


def test_what_jit_cannot_build_is_said():
  def build(rngs):
    if rngs.params() is not None and bool(jax.random.bernoulli(rngs.params())):
      pass
    return nnx.Linear(2, 2, rngs=rngs)

  with pytest.raises((MigrateError, jax.errors.TracerBoolConversionError)):
    migrate.assemble(build, fresh=True)
