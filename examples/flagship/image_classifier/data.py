"""Images that can be told apart, the same in every process. Knows neither Linen nor NNX."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

CLASSES, SIZE = 5, 16
Batch = dict[str, np.ndarray]


def _batch(seed: int, size: int) -> Batch:
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, CLASSES, size)
  rows = np.linspace(0, 1, SIZE)
  waves = np.stack([np.sin(2 * np.pi * (k + 1) * rows) for k in range(CLASSES)])
  images = waves[labels][:, :, None, None] + rng.normal(size=(size, SIZE, SIZE, 3))
  return {"image": images.astype("float32"), "label": labels.astype("int32")}


def train_batch(step: int, size: int) -> Batch:
  """The batch of a step."""
  return _batch(step, size)


def test_batches(size: int) -> Iterator[Batch]:
  """The test set."""
  for i in range(2):
    yield _batch(1_000_000 + i, size)
