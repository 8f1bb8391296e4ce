"""Sizes by data flow.

NNX layers must be told their input sizes. They are found where the input comes from: an argument of the constructor
for what only the caller knows, and the fields behind every other size, also through a concatenation.
"""

import flax.linen as nn
import jax.numpy as jnp


class Encoder(nn.Module):
  hidden: int
  latent: int

  @nn.compact
  def __call__(self, x):
    x = nn.relu(nn.Dense(self.hidden)(x))
    mean = nn.Dense(self.latent, name="mean")(x)
    scale = nn.Dense(self.latent, name="scale")(x)
    return mean, nn.softplus(scale)


class Decoder(nn.Module):
  hidden: int
  features: int

  @nn.compact
  def __call__(self, z, label):
    z = jnp.concatenate([z, nn.Embed(10, 3)(label)], axis=-1)
    z = nn.LayerNorm()(nn.relu(nn.Dense(self.hidden)(z)))
    return nn.Dense(self.features)(z)


class Autoencoder(nn.Module):
  hidden: int = 17
  latent: int = 5

  @nn.compact
  def __call__(self, x, label):
    mean, scale = Encoder(self.hidden, self.latent)(x)
    return Decoder(self.hidden, x.shape[-1])(mean + scale, label)
