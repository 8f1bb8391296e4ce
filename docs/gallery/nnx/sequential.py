"""`nn.Sequential`, with functions among the layers.

The layers are made in the constructor, each with the size that the one before gives.
"""

from flax import nnx


class Tower(nnx.Module):
  def __init__(self, in_features: int, hidden: int = 12, features: int = 4, *, rngs: nnx.Rngs):
    self.hidden = hidden
    self.features = features
    self.body = nnx.Sequential(
        nnx.Linear(in_features, self.hidden, rngs=rngs),
        nnx.relu,
        nnx.Linear(self.hidden, self.hidden, rngs=rngs),
        nnx.LayerNorm(self.hidden, rngs=rngs),
    )
    self.head = nnx.Linear(self.hidden, self.features, rngs=rngs)

  def __call__(self, x):
    return self.head(self.body(x))
