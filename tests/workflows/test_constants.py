"""Models that compute Python numbers from arrays of constants."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import migrate
from migrate.workflows.constants import with_constants

SOURCE = """
import flax.linen as nn
import jax
import jax.numpy as jnp

import migrate


class Model(nn.Module):
  depth: int = 2
  rate: float = 0.5

  @nn.compact
  def __call__(self, x, train: bool = False):
    rates = [r.item() for r in jnp.linspace(0, self.rate, self.depth)]
    for rate in rates:
      x = nn.Dropout(rate, deterministic=not train)(nn.Dense(7)(x))
    return x


def model():
  x = jax.ShapeDtypeStruct((2, 5), "float32")
  return migrate.Example(Model(), (x,), calls=(migrate.Call((x,), {"train": True}, rngs=("dropout",)),))
"""


def test_numbers_computed_from_constants_move_to_init(tmp_path):
  (tmp_path / "constant_rates.py").write_text(SOURCE)
  report = migrate.port(f"{tmp_path / 'constant_rates.py'}:model", tmp_path / "out")
  assert report.ok, [str(f) for e in report.examples for f in e.findings]
  text = (tmp_path / "out" / "constant_rates_nnx.py").read_text()
  assert "    rates = [r.item() for r in jnp.linspace(0, self.rate, self.depth)]\n" in text


def test_value_of_an_argument_stays_an_error():
  seen = []

  @with_constants
  def run(x):
    seen.append(x)
    return jax.eval_shape(lambda x: jnp.ones(3) * float(x), x)

  with pytest.raises(jax.errors.ConcretizationTypeError):
    run(jax.ShapeDtypeStruct((), "float32"))
  assert len(seen) == 2


def test_other_errors_are_not_tried_again():
  seen = []

  @with_constants
  def run():
    seen.append(1)
    raise ValueError("once")

  with pytest.raises(ValueError, match="once"):
    run()
  assert seen == [1]
