"""Goes on in NNX, from the ported source and the moved checkpoint. Imports neither Linen nor migrate.

nnx_training.py NAME PORTED CHECKPOINT LOSSES MODE
"""

import importlib
import sys
from functools import partial
from typing import Any

import jax
import orbax.checkpoint as ocp
import task
from flax import nnx


@partial(nnx.jit, static_argnums=(4,))
def train_step(
  model: nnx.Module, optimizer: nnx.Optimizer, args: Any, wanted: jax.Array, deterministic: bool
) -> jax.Array:
  """One step; the statistics move too."""

  def objective(model: Any) -> jax.Array:
    return task.loss(model(*args, deterministic=deterministic).logits, wanted)

  value, grads = nnx.value_and_grad(objective)(model)
  optimizer.update(model, grads)
  return value


def main(name: str, ported: str, checkpoint: str, losses: str, mode: str) -> None:
  """Restores with plain Orbax and takes the next steps."""
  sys.path.insert(0, ported)
  model = getattr(importlib.import_module("ported"), f"build_{name}")(nnx.Rngs(0))
  optimizer = nnx.Optimizer(model, task.optimizer(), wrt=nnx.Param)
  wanted = {"model": nnx.state(model, nnx.Not(nnx.RngState)), "optimizer": nnx.state(optimizer)}
  with ocp.StandardCheckpointer() as checkpointer:
    restored = checkpointer.restore(checkpoint, wanted)
  nnx.update(model, restored["model"])
  nnx.update(optimizer, restored["optimizer"])
  deterministic = mode == "no-dropout" and name != "resnet"
  values = []
  for step in range(task.BEFORE, task.BEFORE + task.AFTER):
    args, classes = task.inputs(name, step), task.labels(step)
    values.append(float(train_step(model, optimizer, args, classes, deterministic)))
  task.write(losses, values)


if __name__ == "__main__":
  main(*sys.argv[1:])
