"""What is kept of a value: arrays as shapes, containers as copies, everything else as it is."""

from __future__ import annotations

from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from migrate.trace.facts import ArraySpec, CallRecord, Facts, summary

Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
  ("value", "wanted"),
  [
    (jnp.ones((2, 3)), ArraySpec((2, 3), "float32")),
    (np.zeros(4, np.int8), ArraySpec((4,), "int8")),
    (jax.ShapeDtypeStruct((5,), jnp.bfloat16), ArraySpec((5,), "bfloat16")),
    (np.float32(1), ArraySpec((), "float32")),
    ([np.ones(1), 2], [ArraySpec((1,), "float64"), 2]),
    ((np.ones(1), "a"), (ArraySpec((1,), "float64"), "a")),
    ({"k": (np.ones(1),)}, {"k": (ArraySpec((1,), "float64"),)}),
    (Pair(np.ones(1), 2), (ArraySpec((1,), "float64"), 2)),
    (jnp.float32, jnp.float32),
    (None, None),
    (3, 3),
    ("text", "text"),
  ],
)
def test_summary(value, wanted):
  assert summary(value) == wanted


def test_traced_arrays_do_not_leak():
  seen = []
  jax.eval_shape(lambda x: seen.append(summary({"x": [x]})) or x, jax.ShapeDtypeStruct((2,), jnp.float32))
  assert seen == [{"x": [ArraySpec((2,), "float32")]}]


def test_containers_are_copies():
  value = [1, [2]]
  kept = summary(value)
  value[1].append(3)
  assert kept == [1, [2]]


def test_deep_containers_are_kept_as_they_are():
  inner = [[[[1]]]]
  assert summary(inner, depth=1)[0] is inner[0]


def test_calls_of_modules_by_identity():
  one, two = object(), object()
  calls = [CallRecord(i, m, type(m), (), "__call__", (), {}, None, None, 1, 0) for i, m in enumerate([one, two, one])]
  facts = Facts("f", None, {}, [], calls, {}, [], {})
  assert [c.number for c in facts.calls_of([one])] == [0, 2]
  assert facts.calls_of([]) == []


def test_numpy_integers_are_sizes():
  assert summary(np.prod((2, 3))) == 6
  assert type(summary(np.int64(6))) is int
  assert summary(np.ones(2, np.int32)) == ArraySpec((2,), "int32")


def test_value_whose_shape_is_not_known_yet_stays():
  class Later:
    @property
    def shape(self):
      raise AssertionError("not computed yet")

  value = Later()
  assert summary(value) is value
