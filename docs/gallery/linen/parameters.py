"""Parameters with shapes from inputs.

`self.param` becomes an `nnx.Param` of the constructor. The sizes that its shape takes from the input are arguments.
"""

import flax.linen as nn
import jax.numpy as jnp


class Bilinear(nn.Module):
  features: int
  init: nn.initializers.Initializer = nn.initializers.lecun_normal()

  @nn.compact
  def __call__(self, x, y):
    kernel = self.param("kernel", self.init, (x.shape[-1], y.shape[-1], self.features))
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    return jnp.einsum("...i,...j,ijk->...k", x, y, kernel) + bias


class Pair(nn.Module):
  features: int = 6

  @nn.compact
  def __call__(self, x, y):
    temperature = self.param("temperature", nn.initializers.ones, ())
    return Bilinear(self.features)(x, y) / temperature
