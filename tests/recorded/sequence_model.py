"""Recurrent models of sequences, as one writes them in Linen."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn


class WordDropout(nn.Module):
  """Sets whole tokens to the unknown one."""

  rate: float
  unknown: int = 0

  @nn.compact
  def __call__(self, tokens, deterministic: bool):
    if deterministic or self.rate == 0.0:
      return tokens
    rng = self.make_rng("dropout")
    mask = jax.random.bernoulli(rng, p=self.rate, shape=tokens.shape)
    return jnp.where(mask, self.unknown, tokens)


class SequenceClassifier(nn.Module):
  """Embeds, reads in both directions, and classifies by the last state."""

  vocab_size: int
  hidden_size: int = 10
  classes: int = 3
  cell: Any = nn.OptimizedLSTMCell

  def setup(self):
    self.word_dropout = WordDropout(0.1)
    self.embed = nn.Embed(self.vocab_size, self.hidden_size // 2)
    # both directions, then one
    self.both = nn.Bidirectional(nn.RNN(self.cell(self.hidden_size)), nn.RNN(self.cell(self.hidden_size)))
    self.last = nn.RNN(nn.GRUCell(self.hidden_size), return_carry=True)
    self.head = nn.Dense(self.classes)

  def encode(self, tokens, deterministic: bool = True):
    """One vector for each token."""
    return self.both(self.embed(self.word_dropout(tokens, deterministic)))

  def __call__(self, tokens, deterministic: bool = True):
    state, _ = self.last(self.encode(tokens, deterministic))
    return self.head(state)


class GRUDecoder(nn.Module):
  """Feeds every output back, step by step."""

  features: int
  steps: int = 3

  @nn.compact
  def __call__(self, context):
    cell = nn.GRUCell(features=self.features, name="cell")
    out = nn.Dense(context.shape[-1], name="out")
    carry = cell.initialize_carry(jax.random.key(0), context.shape)
    y = jnp.zeros_like(context)
    outputs = []
    for _ in range(self.steps):
      carry, h = cell(carry, y + context)
      y = out(h)
      outputs.append(y)
    return jnp.stack(outputs, axis=1)
