"""Runs a training program in Linen, rewrites it and runs what came out: both start from the same variables."""

import math
import sys
import types

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.codemod.training.programs import HEADER, left, rewritten

DATA = """
def data(n=3):
  return [jax.random.normal(jax.random.key(i), (4, 7)) for i in range(n)]
"""


def wave(key, shape, dtype=jnp.float32):
  """Initial values that no key changes."""
  return 0.5 * jnp.sin(1.0 + jnp.arange(math.prod(shape), dtype=dtype)).reshape(shape)


class LinenPlain(nn.Module):
  """Two layers."""

  features: int

  @nn.compact
  def __call__(self, x, train=False):
    x = nn.tanh(nn.Dense(5, kernel_init=wave, name="hidden")(x))
    return nn.Dense(self.features, kernel_init=wave, name="out")(x)


class LinenNet(nn.Module):
  """Two layers and statistics between."""

  features: int

  @nn.compact
  def __call__(self, x, train=False):
    x = nn.Dense(5, kernel_init=wave, name="hidden")(x)
    x = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")(x)
    return nn.Dense(self.features, kernel_init=wave, name="out")(x)


class NnxPlain(nnx.Module):
  """The same in NNX."""

  def __init__(self, in_features, features, *, rngs):
    self.hidden = nnx.Linear(in_features, 5, kernel_init=wave, rngs=rngs)
    self.out = nnx.Linear(5, features, kernel_init=wave, rngs=rngs)

  def __call__(self, x, train=False):
    return self.out(nnx.tanh(self.hidden(x)))


class NnxNet(nnx.Module):
  """The same in NNX."""

  def __init__(self, in_features, features, *, rngs):
    self.hidden = nnx.Linear(in_features, 5, kernel_init=wave, rngs=rngs)
    self.norm = nnx.BatchNorm(5, momentum=0.9, rngs=rngs)
    self.out = nnx.Linear(5, features, kernel_init=wave, rngs=rngs)

  def __call__(self, x, train=False):
    return self.out(self.norm(self.hidden(x), use_running_average=not train))


def run(text, plain, net):
  """What `main` of a program returns."""
  models = types.ModuleType("models")
  models.Plain, models.Net = plain, net
  program = types.ModuleType("training_program")
  before = {name: sys.modules.get(name) for name in ("models", "training_program")}
  sys.modules |= {"models": models, "training_program": program}
  try:
    exec(compile(text, "train.py", "exec"), program.__dict__)
    return program.main()
  finally:
    for name, module in before.items():
      sys.modules.pop(name)
      if module is not None:
        sys.modules[name] = module


def check_same(code, linen=(LinenPlain, LinenNet), ported=(NnxPlain, NnxNet), classes=None):
  """The new text of a program that computes the same as before: with these `Plain` and `Net`, and what is known of them."""
  result = rewritten(DATA + code, classes=classes)
  assert left(result) == []
  text = result.texts["train"]
  wanted = run(HEADER + DATA + code, *linen)
  found = run(text, *ported)
  assert jax.tree.structure(found) == jax.tree.structure(wanted)
  for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
    np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)
  return text
