"""Saves a TrainState as a Linen training would: 16 layers of LSTM gates with Adam. `make_checkpoint.py DST MEGABYTES`."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import linen as nn
from flax.training import train_state

LAYERS, GATES = 16, "ifgo"


def parameters(width, rng):
  """The parameters of 16 LSTM cells, an embedding and a head: 194 leaves."""

  def values(*shape):
    return rng.standard_normal(shape, np.float32) * 0.02

  def layer():
    inner = {f"i{g}": {"kernel": values(width, width)} for g in GATES}
    return inner | {f"h{g}": {"kernel": values(width, width), "bias": values(width)} for g in GATES}

  params = {f"layers_{i}": layer() for i in range(LAYERS)}
  return params | {"embed": {"embedding": values(1000, width)}, "head": {"kernel": values(width, 1000)}}


def main(dst, megabytes):
  width = round((float(megabytes) * 1e6 / 4 / 3 / LAYERS / len(GATES) / 2) ** 0.5)
  rng = np.random.default_rng(0)
  params = jax.tree.map(jnp.asarray, parameters(width, rng))
  tx = optax.adam(1e-3)
  state = train_state.TrainState.create(apply_fn=nn.Module.apply, params=params, tx=tx)
  adam, *rest = state.opt_state
  adam = adam._replace(count=jnp.array(3), mu=parameters(width, rng), nu=jax.tree.map(np.abs, parameters(width, rng)))
  state = state.replace(step=3, opt_state=(adam, *rest))
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(dst, {"step": state.step, "params": state.params, "opt_state": state.opt_state})


if __name__ == "__main__":
  main(*sys.argv[1:])
