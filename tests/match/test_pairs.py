"""The matcher on hand-written pairs: right, or it says that it cannot tell."""

import jax
import jax.numpy as jnp
import pytest

import migrate
from migrate.core.paths import key
from tests.match.pairs import PAIRS, example_of

# what is known without running anything, for each pair
VERDICTS = {
  "SameNames": "named",
  "SwappedNames": "named",  # wrong, and not certain: that is what an example is for
  "OtherNames": "ambiguous",
  "AutomaticNames": "ambiguous",
  "OrderOfConstruction": "ambiguous",
  "RenamedBlocks": "ambiguous",
  "PastTen": "named",
  "OneBased": "ambiguous",
  "Stacked": "ambiguous",
  "Unstacked": "ambiguous",
  "FusedQkv": "ambiguous",
  "FusedByHead": "ambiguous",
  "FusedInAnotherOrder": "ambiguous",
  "SplitQkv": "ambiguous",
  "Reshaped": "named",
  "TransposedWeights": "settled",
  "TransposedSquares": "ambiguous",
  "TransposedNames": "ambiguous",
  "ScaleAndBias": "ambiguous",
  "ResNet": "ambiguous",
  "BatchStats": "named",
  "FusedGates": "settled",
  "Gates": "settled",
  "TiedEmbedding": "settled",
  "Towers": "ambiguous",
  "CrossedTowers": "ambiguous",
  "NestedToFlat": "ambiguous",
  "EncoderDecoder": "named",
  "Mixture": "named",
}

RUN = [n for n in PAIRS if n not in ("OneBased", "Gates", "Towers", "BatchStats", "RenamedBlocks")]


def shapes(cls):
  """The Linen variables by shape."""
  example = example_of(cls)
  args = [jnp.zeros(a.shape, a.dtype) if isinstance(a, jax.ShapeDtypeStruct) else a for a in example.args]
  return jax.eval_shape(lambda: example.module.init({"params": jax.random.key(0)}, *args))


def fates(variables, mapping):
  """{sources: (targets, operations)} of a mapping."""
  plan = migrate.make_plan(variables, None, mapping)
  return {tuple(s.path for s in e.sources): (tuple(key(t.path) for t in e.targets), e.ops) for e in plan.entries}


def test_every_pair_has_its_verdict():
  assert set(VERDICTS) == set(PAIRS)
  assert len(PAIRS) >= 15


@pytest.mark.parametrize("name", PAIRS)
def test_what_is_known_without_running(name):
  found = migrate.suggest(shapes(PAIRS[name]), PAIRS[name].nnx)
  assert found.verdict == VERDICTS[name]
  assert found.certain == (found.verdict == "settled")
  assert bool(found.ambiguous) == (found.verdict == "ambiguous")
  assert not found.unmapped
  assert not found.unfilled


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_an_example_settles_it(name):
  cls = PAIRS[name]
  variables, example = shapes(cls), example_of(cls)
  guess = migrate.suggest(variables, cls.nnx)
  found = migrate.suggest(variables, cls.nnx, example)
  assert found.verdict == "proven", found.findings
  assert not found.questions
  if guess.certain:
    assert fates(variables, guess.mapping) == fates(variables, found.mapping)


def sides(found):
  """The rules as text."""
  return {("/".join(map(str, r.source[0])), "/".join(map(str, r.target[0]))) for r in found.mapping.rules}


def test_rules_are_patterns():
  found = migrate.suggest(shapes(PAIRS["PastTen"]), PAIRS["PastTen"].nnx)
  assert sides(found) == {("params/layers_{i}/**", "layers/{i}/**")}
  found = migrate.suggest(shapes(PAIRS["RenamedBlocks"]), PAIRS["RenamedBlocks"].nnx)
  assert ("params/layer_{i:02}/LayerNorm_1/**", "blocks/{i}/norm2/**") in sides(found)
  assert ("params/layer_{i:02}/MultiHeadDotProductAttention_0/**", "blocks/{i}/attn/**") in sides(found)
  assert len(found.mapping.rules) == 9
  found = migrate.suggest(shapes(PAIRS["EncoderDecoder"]), PAIRS["EncoderDecoder"].nnx)
  assert len(found.mapping.rules) == 3


def test_layers_are_stacked_and_taken_apart():
  found = migrate.suggest(shapes(PAIRS["Stacked"]), PAIRS["Stacked"].nnx)
  assert ("params/layer_{i:02}/Dense_0/**", "blocks/fc2/**") in sides(found)  # the outer one is made first
  found = migrate.suggest(shapes(PAIRS["Unstacked"]), PAIRS["Unstacked"].nnx)
  assert ("params/layers/LayerNorm_0/**", "blocks/{i}/norm1/**") in sides(found)


def test_ambiguous_pairs_come_with_their_rivals():
  found = migrate.suggest(shapes(PAIRS["Towers"]), PAIRS["Towers"].nnx)
  said = [str(q) for q in found.ambiguous]
  assert any("tower_a/fc#" in text and "by order" in text for text in said)


def test_leaves_without_a_counterpart_are_named():
  variables = shapes(PAIRS["SameNames"])
  variables["params"]["extra"] = {"kernel": jax.ShapeDtypeStruct((3, 2), "float32")}
  found = migrate.suggest(variables, PAIRS["SameNames"].nnx)
  assert found.verdict == "incomplete"
  assert found.unmapped == (("params", "extra", "kernel"),)
  assert not found.certain


def test_a_model_without_a_place_for_everything():
  found = migrate.suggest(shapes(PAIRS["Mixture"]), PAIRS["Reshaped"].nnx)
  assert found.verdict == "incomplete"
  assert found.unfilled


def test_tied_leaves_are_known_by_their_values():
  cls = PAIRS["TiedEmbedding"]
  variables = jax.tree.map(lambda s: jax.random.normal(jax.random.key(len(s.shape)), s.shape), shapes(cls))
  table = variables["params"]["shared"]["embedding"]
  variables["params"]["lm_head"] = {"kernel": table.T}
  found = migrate.suggest(variables, cls.nnx)
  assert found.verdict == "settled"
  assert [r.kind for r in found.mapping.rules if r.source[0][1] == "lm_head"] == ["tie"]
  variables["params"]["lm_head"] = {"kernel": table.T + 1}
  assert migrate.suggest(variables, cls.nnx).unmapped == (("params", "lm_head", "kernel"),)
