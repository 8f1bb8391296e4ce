"""Trains the classifier, with checkpoints and evaluation: python train.py WORKDIR STEPS LOSSES.

Goes on from the last checkpoint in WORKDIR. LOSSES gets a line a step, and one for the evaluation.
"""

import dataclasses
import functools
import json
import sys
from pathlib import Path
from typing import Any

import data
import jax
import jax.numpy as jnp
import optax
from flax.training import checkpoints, train_state
from models import ResNet


@dataclasses.dataclass(frozen=True)
class Config:
  """What the program can be told."""

  seed: int = 0
  batch_size: int = 16
  learning_rate: float = 0.05
  weight_decay: float = 1e-4
  label_smoothing: float = 0.1
  save_every: int = 4


class TrainState(train_state.TrainState):
  """The usual training state, with the statistics of BatchNorm."""

  batch_stats: Any


def learning_rate(config: Config) -> optax.Schedule:
  """Warms up, then falls."""
  return optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup_steps=4, decay_steps=100)


def create_train_state(key: jax.Array, config: Config) -> TrainState:
  """The state before the first step."""
  model = ResNet(stages=(1, 1), filters=8, classes=data.CLASSES)
  variables = model.init(key, jnp.zeros((1, data.SIZE, data.SIZE, 3)), train=False)
  tx = optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.sgd(learning_rate(config), momentum=0.9, nesterov=True),
  )
  return TrainState.create(
    apply_fn=model.apply,
    params=variables["params"],
    tx=tx,
    batch_stats=variables["batch_stats"],
  )


def cross_entropy(logits: jax.Array, labels: jax.Array, smoothing: float) -> jax.Array:
  """Mean cross entropy with smoothed labels."""
  wanted = optax.smooth_labels(jax.nn.one_hot(labels, data.CLASSES), smoothing)
  return optax.softmax_cross_entropy(logits, wanted).mean()


def compute_metrics(logits: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
  """Loss and accuracy."""
  return {
    "loss": cross_entropy(logits, labels, smoothing=0.0),
    "accuracy": jnp.mean(jnp.argmax(logits, axis=-1) == labels),
  }


@functools.partial(jax.jit, static_argnums=(2,))
def train_step(state: TrainState, batch: data.Batch, config: Config) -> tuple[TrainState, dict[str, jax.Array]]:
  """One step of gradient descent."""

  def loss_fn(params):
    # the statistics move too
    logits, updates = state.apply_fn(
      {"params": params, "batch_stats": state.batch_stats},
      batch["image"],
      train=True,
      mutable=["batch_stats"],
    )
    loss = cross_entropy(logits, batch["label"], config.label_smoothing)
    weights = [w for w in jax.tree.leaves(params) if w.ndim > 1]
    loss += 0.5 * config.weight_decay * sum(jnp.sum(jnp.square(w)) for w in weights)
    return loss, (logits, updates)

  grad_fn = jax.value_and_grad(loss_fn, has_aux=True)
  (loss, (logits, updates)), grads = grad_fn(state.params)
  metrics = compute_metrics(logits, batch["label"])
  metrics["objective"] = loss
  metrics["gradient_norm"] = optax.global_norm(grads)
  metrics["learning_rate"] = learning_rate(config)(state.step)
  state = state.apply_gradients(grads=grads, batch_stats=updates["batch_stats"])
  return state, metrics


@jax.jit
def eval_step(state: TrainState, batch: data.Batch) -> dict[str, jax.Array]:
  """Metrics with the running statistics."""
  variables = {"params": state.params, "batch_stats": state.batch_stats}
  logits = state.apply_fn(variables, batch["image"], train=False)
  return compute_metrics(logits, batch["label"])


def evaluate(state: TrainState, config: Config) -> dict[str, float]:
  """Mean metrics over the test set."""
  found = [eval_step(state, batch) for batch in data.test_batches(config.batch_size)]
  return {name: float(jnp.mean(jnp.stack([m[name] for m in found]))) for name in found[0]}


def train(config: Config, workdir: str, steps: int) -> list[dict[str, float]]:
  """Trains to a number of steps, from the last checkpoint where there is one."""
  state = create_train_state(jax.random.key(config.seed), config)
  state = checkpoints.restore_checkpoint(workdir, state)
  history = []
  for step in range(int(state.step), steps):
    state, metrics = train_step(state, data.train_batch(step, config.batch_size), config)
    history.append({name: float(value) for name, value in metrics.items()})
    if (step + 1) % config.save_every == 0:
      checkpoints.save_checkpoint(workdir, state, step + 1, keep=3)
  history.append(evaluate(state, config))
  return history


def main(workdir: str, steps: str, losses: str) -> None:
  """Runs the program."""
  history = train(Config(), str(Path(workdir).absolute()), int(steps))
  Path(losses).write_text("".join(f"{json.dumps(metrics)}\n" for metrics in history), encoding="utf-8")


if __name__ == "__main__":
  main(*sys.argv[1:])
