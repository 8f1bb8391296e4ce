"""Shared layers.

A layer that is made once and called twice is one attribute. Tied embeddings stay tied: `attend` uses the same table.
"""

from flax import nnx
import jax.numpy as jnp


class Siamese(nnx.Module):
  def __init__(self, vocabulary: int = 23, features: int = 8, *, rngs: nnx.Rngs):
    self.vocabulary = vocabulary
    self.features = features
    self.embed = nnx.Embed(self.vocabulary, self.features, rngs=rngs)
    self.project = nnx.Linear(self.features, self.features, rngs=rngs)

  def __call__(self, left, right):
    left, right = (jnp.tanh(self.project(self.embed(ids).mean(axis=1))) for ids in (left, right))
    return self.embed.attend(left * right)
