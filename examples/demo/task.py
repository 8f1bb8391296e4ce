"""What both programs are trained on: the batches, the optimizer, the loss. Knows neither Linen nor NNX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

CLASSES, TOKENS = 5, 64
BATCH = 32
BEFORE, AFTER = 20, 8  # steps before the checkpoint is moved, and after


def labels(step: int) -> np.ndarray:
  """The classes of a batch, shape (BATCH,)."""
  return np.random.default_rng(1000 + step).integers(0, CLASSES, BATCH)


def inputs(name: str, step: int) -> tuple[np.ndarray | None, ...]:
  """The call arguments of a batch whose classes can be learned, the same in every process."""
  rng = np.random.default_rng(step)
  wanted = labels(step)
  if name == "resnet":
    rows = np.linspace(0, 1, 32)
    waves = np.stack([np.sin(2 * np.pi * (k + 1) * rows) for k in range(CLASSES)])
    images = waves[wanted][:, :, None, None] + 2.5 * rng.normal(size=(BATCH, 32, 32, 3))
    return (images.astype("float32"),)
  ids = rng.integers(CLASSES, TOKENS, (BATCH, 32))
  ids = np.where(rng.random(ids.shape) < 0.3, wanted[:, None], ids)
  ones, zeros = np.ones_like(ids, "int32"), np.zeros_like(ids, "int32")
  positions = np.broadcast_to(np.arange(32, dtype="int32"), ids.shape)
  return (ids.astype("int32"), ones, zeros, positions, None)


def loss(logits: jax.Array, wanted: jax.Array) -> jax.Array:
  """Mean cross entropy."""
  return optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(logits, jnp.float32), wanted).mean()


def optimizer() -> optax.GradientTransformation:
  """AdamW with clipping and a schedule, so that moments, counts and the schedule's step all matter."""
  schedule = optax.warmup_cosine_decay_schedule(0.0, 2e-3, 5, 100)
  return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-2))


def write(path: str, document: Any) -> None:
  """Hands numbers to `run.py`."""
  Path(path).write_text(json.dumps(document), encoding="utf-8")
