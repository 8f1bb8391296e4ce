"""`nn.Sequential`, with functions among the layers.

The layers are made in the constructor, each with the size that the one before gives.
"""

import flax.linen as nn


class Tower(nn.Module):
  hidden: int = 12
  features: int = 4

  def setup(self):
    self.body = nn.Sequential([nn.Dense(self.hidden), nn.relu, nn.Dense(self.hidden), nn.LayerNorm()])
    self.head = nn.Dense(self.features)

  def __call__(self, x):
    return self.head(self.body(x))
