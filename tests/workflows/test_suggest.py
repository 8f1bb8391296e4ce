"""`migrate.suggest`: what it takes, what it writes, and what it refuses to state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import migrate
from migrate.core.declare import ModelMapping, Rule, drop, move, tie
from migrate.core.ops import Concatenate, Reshape, Transpose
from migrate.workflows.mapping import load_mapping
from migrate.workflows.suggest_text import module_text, rule_text


class Linen(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.tanh(nn.Dense(5)(x))
    unused = nn.Dense(4, name="unused")(x)
    other = nn.Dense(4, name="other")(x)
    return nn.Dense(3)(x) + 0 * unused.sum() + 0 * other.sum()


class Model(nnx.Module):
  def __init__(self, rngs):
    self.up = nnx.Linear(2, 5, rngs=rngs)
    self.left = nnx.Linear(5, 4, rngs=rngs)
    self.right = nnx.Linear(5, 4, rngs=rngs)
    self.down = nnx.Linear(5, 3, rngs=rngs)

  def __call__(self, x):
    x = nnx.tanh(self.up(x))
    return self.down(x) + 0 * self.left(x).sum() + 0 * self.right(x).sum()


EXAMPLE = migrate.Example(Linen(), (jax.ShapeDtypeStruct((3, 2), "float32"),))


@pytest.fixture(scope="module")
def variables():
  return Linen().init(jax.random.key(0), jnp.zeros((3, 2)))


def test_what_an_example_cannot_tell_apart_stays_a_guess(variables):
  found = migrate.suggest(variables, Model, EXAMPLE)
  assert found.verdict == "ambiguous"
  assert not found.certain
  (asked,) = found.ambiguous
  assert {a for a, _ in asked.pairs} == {"unused", "other"}
  assert "does not tell these apart" in asked.evidence


def test_models_that_differ_are_not_proven(variables):
  class Wrong(Model):
    def __call__(self, x):
      return super().__call__(x) * 1.01

  found = migrate.suggest(variables, Wrong, EXAMPLE)
  assert found.verdict == "ambiguous"
  assert "differ" in found.findings[0].found


def test_a_training_state_on_disk(variables, tmp_path):
  import optax
  import orbax.checkpoint as ocp

  state = {"params": variables["params"], "opt_state": optax.adam(1e-3).init(variables["params"]), "step": 3}
  ocp.PyTreeCheckpointer().save(tmp_path / "ckpt", state)
  found = migrate.suggest(tmp_path / "ckpt", Model)
  assert not found.unmapped
  assert not found.unfilled
  plan = migrate.plan_checkpoint(tmp_path / "ckpt", found.mapping, nnx.eval_shape(lambda: Model(nnx.Rngs(0))))
  assert plan.optimizer is not None


def test_takes_a_model_that_is_made(variables):
  found = migrate.suggest(variables, Model(nnx.Rngs(0)))
  assert found.verdict == "ambiguous"
  assert ("params", "Dense_0", "**") in [r.source[0] for r in found.mapping.rules]


@pytest.mark.parametrize(
  ("model", "words"),
  [(3, "not an NNX model"), (lambda: 3, "returned int"), ("nowhere", "not an example")],
)
def test_what_is_no_model(variables, model, words):
  with pytest.raises(migrate.MigrateError, match=words):
    migrate.suggest(variables, model)


def test_nothing_is_allocated(variables):
  others = jax.live_arrays()  # held, so that no array made here takes the place of one that went
  found = migrate.suggest(jax.eval_shape(lambda: variables), Model)
  assert found.mapping.rules
  assert {id(a) for a in jax.live_arrays()} <= {id(a) for a in others}


def test_of_another_dtype_it_is_cast(variables):
  half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), variables)
  found = migrate.suggest(half, Model)
  assert all(type(op).__name__ == "Cast" for r in found.mapping.rules for op in r.ops)
  model = migrate.to_nnx(half, Model(nnx.Rngs(0)), found.mapping)
  assert np.array_equal(model.up.kernel.get_value(), half["params"]["Dense_0"]["kernel"].astype("float32"))


RULES = (
  move("params/a{i}/**", "b/{i}/**"),
  move(["params/q", "params/k"], "qk", Reshape((4, 4), (4, 2, 2)), Concatenate((4, 4), axis=-1)),
  move(("params", "a/b", "kernel"), ("c", "0", "kernel"), Transpose((1, 0)), variable="Scale"),
  drop("params/old/**", because="it's gone"),
  Rule("tie", (("params", "head"),), (("embed",),), (Transpose(),)),
  tie("params/twin", "embed"),
)


def test_rules_as_python_are_the_same_rules(tmp_path):
  mapping = ModelMapping(RULES)
  (tmp_path / "written_rules.py").write_text(module_text(mapping, [rule_text(r) for r in RULES], ["by a test"]))
  assert load_mapping(tmp_path / "written_rules.py").rules == RULES


def test_the_file_says_how_sure_it_is(variables, tmp_path):
  found = migrate.suggest(variables, Model)
  found.save(tmp_path / "found_mapping.py")
  text = (tmp_path / "found_mapping.py").read_text()
  assert "NOT SETTLED" in text
  assert "# guess: " in text
  assert load_mapping(tmp_path / "found_mapping.py").rules == found.mapping.rules
