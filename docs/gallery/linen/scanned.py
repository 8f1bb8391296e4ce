"""A scan over layers.

Linen makes and runs the layers in one. NNX makes them stacked, one key for each layer, and scans over the stack.
"""

import flax.linen as nn


class Block(nn.Module):
  features: int
  hidden: int

  @nn.compact
  def __call__(self, x, train: bool):
    y = nn.LayerNorm()(x)
    y = nn.gelu(nn.Dense(self.hidden)(y))
    y = nn.Dropout(0.1, deterministic=not train)(y)
    return x + nn.Dense(self.features)(y), None


class Stack(nn.Module):
  features: int = 6
  hidden: int = 13
  layers: int = 3

  @nn.compact
  def __call__(self, x, train: bool):
    x = nn.Dense(self.features)(x)
    blocks = nn.scan(
      nn.remat(Block, static_argnums=(2,)),
      variable_axes={"params": 0},
      split_rngs={"params": True, "dropout": True},
      in_axes=nn.broadcast,
      length=self.layers,
    )
    x, _ = blocks(self.features, self.hidden, name="blocks")(x, train)
    return nn.LayerNorm()(x)
