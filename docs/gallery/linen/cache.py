"""A cache.

Variables of other collections are attributes too. What Linen makes in the first call is made by the constructor, which
therefore asks for the size of a batch.
"""

import flax.linen as nn
import jax.numpy as jnp


class MovingSum(nn.Module):
  """Adds up what it was given since it was made."""

  features: int = 5

  @nn.compact
  def __call__(self, x):
    x = nn.Dense(self.features)(x)
    total = self.variable("cache", "total", jnp.zeros, x.shape, x.dtype)
    count = self.variable("cache", "count", lambda: jnp.zeros((), jnp.int32))
    total.value = total.value + x
    count.value = count.value + 1
    return total.value / count.value
