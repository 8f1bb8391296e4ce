"""Recurrent models of sequences, as one writes them in Linen."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from sequence_model_nnx_layers.gru import GRUCell
from sequence_model_nnx_layers.lstm import OptimizedLSTMCell


class WordDropout(nnx.Module):
  """Sets whole tokens to the unknown one."""

  def __init__(self, rate: float, unknown: int = 0, *, rngs: nnx.Rngs):
    self.rate = rate
    self.unknown = unknown
    self.rngs = rngs.fork()

  def __call__(self, tokens, deterministic: bool):
    if deterministic or self.rate == 0.0:
      return tokens
    rng = self.rngs.dropout()
    mask = jax.random.bernoulli(rng, p=self.rate, shape=tokens.shape)
    return jnp.where(mask, self.unknown, tokens)


class SequenceClassifier(nnx.Module):
  """Embeds, reads in both directions, and classifies by the last state."""

  def __init__(
      self,
      last_in_features: int,
      vocab_size: int,
      hidden_size: int = 10,
      classes: int = 3,
      cell: Any = OptimizedLSTMCell,
      *,
      rngs: nnx.Rngs,
  ):
    self.vocab_size = vocab_size
    self.hidden_size = hidden_size
    self.classes = classes
    self.cell = cell
    self.word_dropout = WordDropout(0.1, rngs=rngs)
    self.embed = nnx.Embed(self.vocab_size, self.hidden_size // 2, rngs=rngs)
    # both directions, then one
    self.both = nnx.Bidirectional(nnx.RNN(self.cell(
        in_features=self.hidden_size // 2,
        hidden_features=self.hidden_size,
        rngs=rngs,
    )), nnx.RNN(self.cell(
        in_features=self.hidden_size // 2,
        hidden_features=self.hidden_size,
        rngs=rngs,
    )))
    self.last = nnx.RNN(GRUCell(
        in_features=last_in_features,
        hidden_features=self.hidden_size,
        rngs=rngs,
    ), return_carry=True)
    self.head = nnx.Linear(self.hidden_size, self.classes, rngs=rngs)

  def encode(self, tokens, deterministic: bool = True):
    """One vector for each token."""
    return self.both(self.embed(self.word_dropout(tokens, deterministic)))

  def __call__(self, tokens, deterministic: bool = True):
    state, _ = self.last(self.encode(tokens, deterministic))
    return self.head(state)


class GRUDecoder(nnx.Module):
  """Feeds every output back, step by step."""

  def __init__(self, in_features: int, features: int, steps: int = 3, *, rngs: nnx.Rngs):
    self.features = features
    self.steps = steps
    self.cell = GRUCell(in_features=in_features, hidden_features=self.features, rngs=rngs)
    self.out = nnx.Linear(self.features, in_features, rngs=rngs)

  def __call__(self, context):
    carry = self.cell.initialize_carry(context.shape, nnx.Rngs(jax.random.key(0)))
    y = jnp.zeros_like(context)
    outputs = []
    for _ in range(self.steps):
      carry, h = self.cell(carry, y + context)
      y = self.out(h)
      outputs.append(y)
    return jnp.stack(outputs, axis=1)
