"""Shared layers.

A layer that is made once and called twice is one attribute. Tied embeddings stay tied: `attend` uses the same table.
"""

import flax.linen as nn
import jax.numpy as jnp


class Siamese(nn.Module):
  vocabulary: int = 23
  features: int = 8

  @nn.compact
  def __call__(self, left, right):
    embed = nn.Embed(self.vocabulary, self.features)
    project = nn.Dense(self.features, name="project")
    left, right = (jnp.tanh(project(embed(ids).mean(axis=1))) for ids in (left, right))
    return embed.attend(left * right)
