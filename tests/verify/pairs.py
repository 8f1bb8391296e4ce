"""Hand-written pairs of tiny models, with the mapping between them."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import nnx

import migrate
from migrate.core.declare import ModelMapping, move


def _x(*shape, seed=0):
  return np.random.RandomState(seed).randn(*shape).astype("float32")


class Norms(nn.Module):
  """Dense, BatchNorm, two square Dense layers, LayerNorm, Dropout."""

  rate: float = 0.3

  @nn.compact
  def __call__(self, x, mask, train: bool = False):
    x = nn.Dense(7, name="first")(x)
    x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
    x = nn.relu(nn.Dense(7, name="left")(x)) * mask
    x = nn.Dropout(self.rate, deterministic=not train)(x)
    x = nn.LayerNorm(name="layer_norm", epsilon=1e-2)(x)
    x = nn.Dense(7, name="right")(x)
    return {"out": nn.Dropout(self.rate, deterministic=not train)(x), "mean": x.mean(0)}


class NormsNnx(nnx.Module):
  """The same in NNX; `fault` plants one."""

  def __init__(self, rate=0.3, fault="", *, rngs: nnx.Rngs):
    self.first = nnx.Linear(5, 7, rngs=rngs)
    self.norm = nnx.BatchNorm(7, rngs=rngs)
    self.left = nnx.Linear(7, 7, use_bias=fault != "no bias", rngs=rngs)
    self.drop = nnx.Dropout(0.5 if fault == "rate" else rate, rngs=rngs)
    self.layer_norm = nnx.LayerNorm(7, epsilon=1e-6 if fault == "epsilon" else 1e-2, rngs=rngs)
    self.right = nnx.Linear(7, 7, rngs=rngs)
    self.drop_out = nnx.Dropout(0.0 if fault == "no dropout" else rate, rngs=rngs)
    self.fault = fault

  def __call__(self, x, mask, train: bool = False):
    x = self.first(x)
    frozen = not train or self.fault == "statistics"
    x = self.norm(x, use_running_average=frozen)
    x = nnx.relu(self.left(x)) * mask
    x = self.drop(x, deterministic=not train)
    x = self.layer_norm(x)
    x = self.right(x)
    out = {"out": self.drop_out(x, deterministic=not train), "mean": x.mean(0)}
    if self.fault == "nan":
      out["mean"] = out["mean"].at[0].set(jnp.nan)
    if self.fault == "argument":
      out["out"] = out["out"] + 0 * mask
      out = {"out": out["mean"][None] + 0 * out["out"], "mean": out["mean"]}
    return out


NORMS_LEAVES = [
  *(("params", layer, leaf) for layer in ("first", "left", "right") for leaf in ("kernel", "bias")),
  *(("params", layer, leaf) for layer in ("norm", "layer_norm") for leaf in ("scale", "bias")),
  ("batch_stats", "norm", "mean"),
  ("batch_stats", "norm", "var"),
]
NORMS = ModelMapping(tuple(move(p, p[1:]) for p in NORMS_LEAVES))


def norms_example() -> migrate.Example:
  """Eval, then training with dropout and statistics."""
  args = (_x(4, 5), _x(4, 7, seed=1))
  train = migrate.Call(args, {"train": True}, rngs=("dropout",), mutable=["batch_stats"])
  return migrate.Example(Norms(), args, calls=(train,))


class TwoInputs(nn.Module):
  """A square layer of the difference of two inputs."""

  @nn.compact
  def __call__(self, a, b):
    return nn.Dense(6, name="dense")(a - 2 * b)


class TwoInputsNnx(nnx.Module):
  """The same; `swapped` exchanges the arguments."""

  def __init__(self, swapped=False, *, rngs: nnx.Rngs):
    self.dense = nnx.Linear(6, 6, rngs=rngs)
    self.swapped = swapped

  def __call__(self, a, b):
    if self.swapped:
      a, b = b, a
    return self.dense(a - 2 * b)


TWO_INPUTS = ModelMapping((move("params/dense/kernel", "dense/kernel"), move("params/dense/bias", "dense/bias")))


def two_inputs_example() -> migrate.Example:
  """Arguments given as shapes only."""
  shape = jax.ShapeDtypeStruct((3, 6), jnp.float32)
  return migrate.Example(TwoInputs(), (shape, shape))
