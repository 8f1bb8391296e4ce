"""Tracing an example: abstract, complete, and refused with a reason where it can't be."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from migrate.core.report import MigrateError
from migrate.example import Call, Example
from migrate.trace.run import abstract_init, default_include, split_static, trace, variables_of
from tests.codemod.support import ids, x


class Model(nn.Module):
  features: int = 7

  @nn.compact
  def __call__(self, x, train: bool = False):
    x = nn.BatchNorm(use_running_average=not train)(nn.Dense(self.features)(x))
    return nn.Dropout(0.5)(x, deterministic=not train)

  def other(self, x):
    return x + self.features


class Strict(nn.Module):
  @nn.compact
  def __call__(self, x, train: bool = False):
    if train:
      raise ValueError("not for training")
    return nn.Dense(3)(x)


def test_no_parameter_is_allocated():
  huge = Example(Model(10**9), (x(2, 10**9),))
  facts = trace(huge)
  leaves = jax.tree.leaves(facts.variables)
  assert all(isinstance(v, jax.ShapeDtypeStruct) for v in leaves)


def test_variables_by_collection_and_path():
  facts = trace(Example(Model(), (x(2, 5),)))
  assert ("params", "Dense_0", "kernel") in variables_of(facts.variables)
  assert ("batch_stats", "BatchNorm_0", "mean") in variables_of(facts.variables)


def test_flags_are_tried_both_ways():
  facts = trace(Example(Model(), (x(2, 5),)))
  assert {a.arguments["train"] for a in facts.activations if a.qualname == "Model.__call__"} == {False, True}


def test_flag_that_does_not_run_the_other_way_is_a_note():
  facts = trace(Example(Strict(), (x(2, 5),)))
  assert facts.notes == ["a call with a flipped flag does not run: ValueError"]


def test_every_call_is_traced():
  calls = (Call((x(2, 5), True), rngs=("dropout",), mutable=["batch_stats"]), Call((x(3, 7),), method="other"))
  facts = trace(Example(Model(), (x(2, 5),), calls=calls))
  assert {c.run for c in facts.calls if not c.path} >= {0, 1, 2, 3}
  assert "other" in {c.method for c in facts.calls}


def test_init_arguments_of_their_own():
  facts = trace(Example(Model(), (x(2, 5),), init_args=(x(1, 5),)))
  shapes = [a.arguments["x"].shape for a in facts.activations if a.qualname == "Model.__call__" and a.initializing]
  assert shapes == [(1, 5)]


def test_error_in_init_names_the_example():
  with pytest.raises(MigrateError, match="init raised") as caught:
    trace(Example(Model(), ()), name="broken")
  assert caught.value.findings[0].where == "broken"


def test_error_in_a_call_names_the_call():
  with pytest.raises(MigrateError, match="call 1 raised"):
    trace(Example(Model(), (x(2, 5),), calls=(Call((x(2, 9),)),)))


def test_class_without_source_is_refused():
  namespace: dict = {"nn": nn}
  exec("class Made(nn.Module):\n  @nn.compact\n  def __call__(self, x):\n    return nn.Dense(3)(x)\n", namespace)
  with pytest.raises(MigrateError, match="source can't be found"):
    trace(Example(namespace["Made"](), (x(2, 5),)))


def test_class_made_inside_a_function_is_traced():
  class Inside(nn.Module):
    def __call__(self, x):
      return x

  assert trace(Example(Inside(), (x(2, 5),))).classes == [Inside]


def test_default_include_is_the_top_level_package():
  assert default_include(nn.Dense(3)) == ()


def test_arrays_are_told_from_values():
  tree = {"a": np.ones(2), "b": 3, "c": [jnp.ones(1), "text", None, x(4)], "d": ids(2)}
  arrays, rebuild = split_static(tree)
  assert [a.shape for a in arrays] == [(2,), (1,), (4,), (2,)]
  assert rebuild(["p", "q", "r", "s"]) == {"a": "p", "b": 3, "c": ["q", "text", None, "r"], "d": "s"}


def test_keyword_arguments_stay_python_values():
  class Strict(nn.Module):
    @nn.compact
    def __call__(self, x, train):
      return nn.Dense(3)(x) if train is True else x

  assert "Dense_0" in abstract_init(Example(Strict(), (x(2, 5),), {"train": True}))["params"]


class Draws(nn.Module):
  """Draws from a stream, and keeps a sum."""

  @nn.compact
  def __call__(self, x):
    total = self.variable("sums", "total", jnp.zeros, ())
    if not self.is_initializing():
      x = x + jax.random.normal(self.make_rng("noise"), x.shape)
      total.value = total.value + x.sum()
    return nn.Dense(2)(x)


def test_a_missing_stream_or_collection_says_how_to_name_it():
  x = jnp.ones((2, 3))
  with pytest.raises(MigrateError, match=r'rngs=\(\.\.\., "noise"\)'):
    trace(Example(Draws(), (x,)))
  with pytest.raises(MigrateError, match=r'mutable=\["sums"\]'):
    trace(Example(Draws(), (x,), rngs=("noise",)))
  with pytest.raises(MigrateError, match=r'init_rngs=\(\.\.\., "params"\)'):
    trace(Example(Draws(), (x,), init_rngs=()))


class Synchronized(nn.Module):
  """Means over devices."""

  @nn.compact
  def __call__(self, x, train: bool = False):
    return nn.BatchNorm(use_running_average=not train, axis_name="batch")(x)


def test_a_mean_over_devices_says_what_an_example_may_do():
  with pytest.raises(MigrateError, match="a model without `axis_name`"):
    trace(Example(Synchronized(), (jnp.ones((2, 3)),), {"train": True}, mutable=["batch_stats"]))
