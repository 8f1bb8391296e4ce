"""Trains the language model, with checkpoints and evaluation: python train.py WORKDIR STEPS LOSSES [DROPOUT].

Goes on from the last checkpoint in WORKDIR. LOSSES gets a line a step, and one for the evaluation.
"""

import dataclasses
import functools
import json
import sys
from pathlib import Path

import data
import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp
from flax import traverse_util
from flax.training.train_state import TrainState
from models import LanguageModel, ModelConfig


@dataclasses.dataclass(frozen=True)
class Config:
  """What the program can be told."""

  seed: int = 0
  batch_size: int = 8
  learning_rate: float = 3e-3
  weight_decay: float = 0.1
  save_every: int = 4


def decay_mask(params):
  """Weight decay is for matrices: not for norms, biases and embeddings."""
  flat = traverse_util.flatten_dict(params)
  return traverse_util.unflatten_dict({path: path[-1] == "kernel" for path in flat})


def make_optimizer(config: Config) -> optax.GradientTransformation:
  """AdamW with clipping and a schedule."""
  schedule = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup_steps=3, decay_steps=200)
  return optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.adamw(schedule, b2=0.98, weight_decay=config.weight_decay, mask=decay_mask),
  )


def create_train_state(rng: jax.Array, model: LanguageModel, config: Config) -> TrainState:
  """The state before the first step."""
  params_key, dropout_key = jax.random.split(rng)
  tokens = jnp.zeros((1, data.LENGTH), jnp.int32)
  params = model.init({"params": params_key, "dropout": dropout_key}, tokens)["params"]
  return TrainState.create(apply_fn=model.apply, params=params, tx=make_optimizer(config))


def token_loss(logits: jax.Array, targets: jax.Array) -> jax.Array:
  """Mean cross entropy of the next token."""
  return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()


@functools.partial(jax.jit, donate_argnums=(0,))
def train_step(state: TrainState, tokens: jax.Array, dropout_key: jax.Array) -> tuple[TrainState, dict[str, jax.Array]]:
  """One step of gradient descent."""
  step_key = jax.random.fold_in(dropout_key, state.step)

  def loss_fn(params):
    logits = state.apply_fn({"params": params}, tokens[:, :-1], deterministic=False, rngs={"dropout": step_key})
    return token_loss(logits, tokens[:, 1:])

  loss, grads = jax.value_and_grad(loss_fn)(state.params)
  state = state.apply_gradients(grads=grads)
  return state, {"loss": loss, "gradient_norm": optax.global_norm(grads)}


@jax.jit
def eval_step(state: TrainState, tokens: jax.Array) -> jax.Array:
  """The loss without dropout."""
  logits = state.apply_fn({"params": state.params}, tokens[:, :-1], deterministic=True)
  return token_loss(logits, tokens[:, 1:])


def evaluate(state: TrainState, config: Config) -> float:
  """Perplexity over the test set."""
  losses = [eval_step(state, tokens) for tokens in data.test_batches(config.batch_size)]
  return float(jnp.exp(jnp.mean(jnp.stack(losses))))


def train(config: Config, model: LanguageModel, workdir: str, steps: int) -> list[dict[str, float]]:
  """Trains to a number of steps, from the last checkpoint where there is one."""
  init_key, dropout_key = jax.random.split(jax.random.key(config.seed))
  state = create_train_state(init_key, model, config)
  history = []
  with ocp.CheckpointManager(workdir, options=ocp.CheckpointManagerOptions(max_to_keep=3)) as manager:
    latest = manager.latest_step()
    if latest is not None:
      state = manager.restore(latest, args=ocp.args.StandardRestore(state))
    for step in range(int(state.step), steps):
      state, metrics = train_step(state, data.train_batch(step, config.batch_size), dropout_key)
      history.append({name: float(value) for name, value in metrics.items()})
      if (step + 1) % config.save_every == 0:
        manager.save(step + 1, args=ocp.args.StandardSave(state))
  history.append({"perplexity": evaluate(state, config)})
  return history


def main(workdir: str, steps: str, losses: str, dropout: str = "0.1") -> None:
  """Runs the program."""
  model = LanguageModel(ModelConfig(data.TOKENS, data.LENGTH, dropout=float(dropout)))
  history = train(Config(), model, str(Path(workdir).absolute()), int(steps))
  Path(losses).write_text("".join(f"{json.dumps(metrics)}\n" for metrics in history), encoding="utf-8")


if __name__ == "__main__":
  main(*sys.argv[1:])
