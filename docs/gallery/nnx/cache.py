"""A cache.

Variables of other collections are attributes too. What Linen makes in the first call is made by the constructor, which
therefore asks for the size of a batch.
"""

from flax import nnx
import jax.numpy as jnp


class MovingSum(nnx.Module):
  """Adds up what it was given since it was made."""

  def __init__(self, in_features: int, batch_size: int, features: int = 5, *, rngs: nnx.Rngs):
    self.features = features
    self.dense = nnx.Linear(in_features, self.features, rngs=rngs)
    self.total = nnx.Cache(jnp.zeros((batch_size, self.features), jnp.float32))
    self.count = nnx.Cache(jnp.zeros((), jnp.int32))

  def __call__(self, x):
    x = self.dense(x)
    total = self.total
    count = self.count
    total.set_value(total[...] + x)
    count.set_value(count[...] + 1)
    return total[...] / count[...]
