"""Sizes by data flow.

NNX layers must be told their input sizes. They are found where the input comes from: an argument of the constructor
for what only the caller knows, and the fields behind every other size, also through a concatenation.
"""

from flax import nnx
import jax.numpy as jnp


class Encoder(nnx.Module):
  def __init__(self, in_features: int, hidden: int, latent: int, *, rngs: nnx.Rngs):
    self.hidden = hidden
    self.latent = latent
    self.dense = nnx.Linear(in_features, self.hidden, rngs=rngs)
    self.mean = nnx.Linear(self.hidden, self.latent, rngs=rngs)
    self.scale = nnx.Linear(self.hidden, self.latent, rngs=rngs)

  def __call__(self, x):
    x = nnx.relu(self.dense(x))
    mean = self.mean(x)
    scale = self.scale(x)
    return mean, nnx.softplus(scale)


class Decoder(nnx.Module):
  def __init__(self, in_features: int, hidden: int, features: int, *, rngs: nnx.Rngs):
    self.hidden = hidden
    self.features = features
    self.embed = nnx.Embed(10, 3, rngs=rngs)
    self.layer_norm = nnx.LayerNorm(self.hidden, rngs=rngs)
    self.dense = nnx.Linear(in_features + 3, self.hidden, rngs=rngs)
    self.dense_1 = nnx.Linear(self.hidden, self.features, rngs=rngs)

  def __call__(self, z, label):
    z = jnp.concatenate([z, self.embed(label)], axis=-1)
    z = self.layer_norm(nnx.relu(self.dense(z)))
    return self.dense_1(z)


class Autoencoder(nnx.Module):
  def __init__(self, in_features: int, hidden: int = 17, latent: int = 5, *, rngs: nnx.Rngs):
    self.hidden = hidden
    self.latent = latent
    self.encoder = Encoder(in_features, self.hidden, self.latent, rngs=rngs)
    self.decoder = Decoder(self.latent, self.hidden, in_features, rngs=rngs)

  def __call__(self, x, label):
    mean, scale = self.encoder(x)
    return self.decoder(mean + scale, label)
