"""Lambdas called where they stand."""

from __future__ import annotations

import pytest

from migrate.codemod.beta import applied


@pytest.mark.parametrize(
  ("function", "arguments", "wanted"),
  [
    ("lambda key, shape: normal(key, shape, dtype=f)", ["rngs.params()", "(3, n)"], "normal(rngs.params(), (3, n), dtype=f)"),
    ("lambda _: jnp.zeros(3)", ["rngs.params()"], "jnp.zeros(3)"),
    ("lambda k, n: uniform(k, (n,)) / n", ["rngs.params()", "self.n"], "uniform(rngs.params(), (self.n,)) / self.n"),
    ("lambda k, n: n * 2", ["rngs.params()", "a + b"], "(a + b) * 2"),
    ("lambda k, s: -1 * s.size", ["rngs.params()", "(1, 2)"], "-1 * (1, 2).size"),
  ],
)  # fmt: skip
def test_arguments_take_their_places(function, arguments, wanted):
  assert applied(function, arguments) == wanted


@pytest.mark.parametrize(
  ("function", "arguments"),
  [
    ("lambda k: a(k) + b(k)", ["rngs.params()"]),  # two draws of one key would be two keys
    ("lambda k, *s: normal(k, s)", ["rngs.params()", "3"]),
    ("lambda k, d=3: normal(k, d)", ["rngs.params()"]),
    ("lambda k, n: [normal(k, n) for n in m]", ["rngs.params()", "n"]),
    ("lambda k, s: normal(k, s)", ["rngs.params()", "*shape"]),
  ],
)
def test_other_calls_stay_as_they_are(function, arguments):
  assert applied(function, arguments) == f"({function})({', '.join(arguments)})"
