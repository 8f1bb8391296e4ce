"""Parameters with shapes from inputs.

`self.param` becomes an `nnx.Param` of the constructor. The sizes that its shape takes from the input are arguments.
"""

from flax import nnx
import jax.numpy as jnp


class Bilinear(nnx.Module):
  def __init__(
      self,
      in_features: int,
      y_features: int,
      features: int,
      init: nnx.initializers.Initializer = nnx.initializers.lecun_normal(),
      *,
      rngs: nnx.Rngs,
  ):
    self.features = features
    self.init = init
    self.kernel = nnx.Param(self.init(rngs.params(), (in_features, y_features, self.features)))
    self.bias = nnx.Param(nnx.initializers.zeros(rngs.params(), (self.features,)))

  def __call__(self, x, y):
    kernel = self.kernel[...]
    bias = self.bias[...]
    return jnp.einsum("...i,...j,ijk->...k", x, y, kernel) + bias


class Pair(nnx.Module):
  def __init__(self, in_features: int, y_features: int, features: int = 6, *, rngs: nnx.Rngs):
    self.features = features
    self.temperature = nnx.Param(nnx.initializers.ones(rngs.params(), ()))
    self.bilinear = Bilinear(in_features, y_features, self.features, rngs=rngs)

  def __call__(self, x, y):
    temperature = self.temperature[...]
    return self.bilinear(x, y) / temperature
