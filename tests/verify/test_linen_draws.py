"""What Linen folds into its keys, for each stream of an NNX model."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import migrate
from migrate.verify.linen_draws import linen_draws

X = np.ones((2, 3), np.float32)


class Linen(nn.Module):
  @nn.compact
  def __call__(self, x, train=True, twice=False):
    drop = nn.Dropout(0.5, deterministic=not train, name="drop")
    return drop(drop(x)) if twice else drop(x)


class Nnx(nnx.Module):
  def __init__(self, rngs):
    self.drop = nnx.Dropout(0.5, rngs=rngs)

  def __call__(self, x, train=True, twice=False):
    self.drop.deterministic = not train
    return self.drop(self.drop(x)) if twice else self.drop(x)


def model(cls=Nnx):
  return nnx.eval_shape(lambda: cls(nnx.Rngs(params=0, dropout=1)))


def call(**kwargs):
  return migrate.Call((X,), kwargs, rngs=("dropout",))


def test_the_longest_of_the_calls_is_kept():
  example = migrate.Example(Linen(), (X,), {"train": False}, calls=(call(), call(twice=True)))
  draws = linen_draws(example, model())
  ((owner, (stream, folds)),) = draws.items()
  assert (owner, stream, len(folds)) == ("drop/rngs", "dropout", 2)
  base = jax.random.key(3)
  seen = []

  class Drawing(nn.Module):
    @nn.compact
    def __call__(self):
      seen.append(self.make_rng("dropout"))

  class Parent(nn.Module):
    @nn.compact
    def __call__(self):
      Drawing(name="drop")()

  Parent().apply({}, rngs={"dropout": base})
  assert jax.random.fold_in(base, folds[0]) == seen[0]


def test_the_model_is_unchanged_and_nothing_is_drawn_without_streams():
  one = model()
  assert linen_draws(migrate.Example(Linen(), (X,), {"train": False}), one) == {}
  assert type(one.drop.rngs) is nnx.RngStream


class Once(Nnx):
  def __call__(self, x, train=True, twice=False):
    return super().__call__(x, train)


def test_uneven_draws_are_refused():
  example = migrate.Example(Linen(), (X,), {"train": False}, calls=(call(twice=True),))
  with pytest.raises(migrate.MigrateError, match="Linen draws 2 numbers of 'dropout'"):
    linen_draws(example, model(Once))


class Fails(Nnx):
  def __call__(self, x, train=True, twice=False):
    raise ValueError("no such size")


def test_models_that_do_not_run_are_named():
  with pytest.raises(migrate.MigrateError, match="the NNX model raised ValueError: no such size"):
    linen_draws(migrate.Example(Linen(), (X,), {"train": False}, calls=(call(),)), model(Fails))
  with pytest.raises(migrate.MigrateError, match="init` raised"):
    linen_draws(migrate.Example(Linen(), (X, 1, 2, 3), {"train": False}, calls=(call(),)), model())
