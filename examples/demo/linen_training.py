"""Trains one of the models in Linen.

linen_training.py NAME begin CHECKPOINT LOSSES           some steps from scratch, then an Orbax checkpoint
linen_training.py NAME continue CHECKPOINT LOSSES MODE   restores it and goes on; MODE is dropout or no-dropout
"""

import sys
from functools import partial
from typing import Any

import jax
import models
import orbax.checkpoint as ocp
import task
from flax.training import train_state


class TrainState(train_state.TrainState):
  """The usual training state, with batch statistics."""

  batch_stats: Any


def make_state(name: str) -> tuple[Any, TrainState]:
  """The module and its training state before the first step."""
  example = getattr(models, name)()
  keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
  variables = jax.jit(example.module.init)(keys, *example.args)
  state = TrainState.create(
    apply_fn=example.module.apply,
    params=variables["params"],
    tx=task.optimizer(),
    batch_stats=variables.get("batch_stats", {}),
  )
  return example.module, state


@partial(jax.jit, static_argnums=(3,))
def train_step(state: TrainState, args: Any, wanted: jax.Array, deterministic: bool) -> tuple[TrainState, jax.Array]:
  """One step; the statistics move too."""

  def objective(params: Any) -> tuple[jax.Array, Any]:
    outputs, changed = state.apply_fn(
      {"params": params, "batch_stats": state.batch_stats},
      *args,
      deterministic=deterministic,
      mutable=["batch_stats"],
      rngs={"dropout": jax.random.fold_in(jax.random.key(2), state.step)},
    )
    return task.loss(outputs.logits, wanted), changed

  (value, changed), grads = jax.value_and_grad(objective, has_aux=True)(state.params)
  return state.apply_gradients(grads=grads, batch_stats=changed.get("batch_stats", {})), value


def main(name: str, phase: str, checkpoint: str, losses: str, mode: str = "dropout") -> None:
  """Runs one phase."""
  _, state = make_state(name)
  first, count = (0, task.BEFORE) if phase == "begin" else (task.BEFORE, task.AFTER)
  if phase == "continue":
    with ocp.StandardCheckpointer() as checkpointer:
      state = checkpointer.restore(checkpoint, state)
  # BatchNorm is trained with batch statistics; the transformer without dropout where masks must not matter
  deterministic = mode == "no-dropout" and name != "resnet"
  values = []
  for step in range(first, first + count):
    state, value = train_step(state, task.inputs(name, step), task.labels(step), deterministic)
    values.append(float(value))
  if phase == "begin":
    with ocp.StandardCheckpointer() as checkpointer:
      checkpointer.save(checkpoint, state)
  task.write(losses, values)


if __name__ == "__main__":
  main(*sys.argv[1:])
