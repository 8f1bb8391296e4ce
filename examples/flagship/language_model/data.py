"""Text made of a few rules, the same in every process. Knows neither Linen nor NNX."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

TOKENS, LENGTH = 31, 16


def _batch(seed: int, size: int) -> np.ndarray:
  rng = np.random.default_rng(seed)
  text = np.empty((size, LENGTH + 1), "int32")
  text[:, 0] = rng.integers(1, TOKENS, size)
  for i in range(LENGTH):
    surprise = rng.random(size) < 0.1
    text[:, i + 1] = np.where(surprise, rng.integers(1, TOKENS, size), (3 * text[:, i] + 5) % TOKENS)
  return text


def train_batch(step: int, size: int) -> np.ndarray:
  """The batch of a step, one token longer than what the model is given."""
  return _batch(step, size)


def test_batches(size: int) -> Iterator[np.ndarray]:
  """The test set."""
  for i in range(2):
    yield _batch(1_000_000 + i, size)
