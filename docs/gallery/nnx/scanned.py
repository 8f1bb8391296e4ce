"""A scan over layers.

Linen makes and runs the layers in one. NNX makes them stacked, one key for each layer, and scans over the stack.
"""

from flax import nnx
from flax.core import broadcast

from scanned_layers.remat import remat
from scanned_layers.scan import scan


class Block(nnx.Module):
  def __init__(self, in_features: int, features: int, hidden: int, *, rngs: nnx.Rngs):
    self.features = features
    self.hidden = hidden
    self.layer_norm = nnx.LayerNorm(in_features, rngs=rngs)
    self.dense = nnx.Linear(in_features, self.hidden, rngs=rngs)
    self.dropout = nnx.Dropout(0.1, rngs=rngs)
    self.dense_1 = nnx.Linear(self.hidden, self.features, rngs=rngs)

  def __call__(self, x, train: bool):
    y = self.layer_norm(x)
    y = nnx.gelu(self.dense(y))
    y = self.dropout(y, deterministic=not train)
    return x + self.dense_1(y), None


class Stack(nnx.Module):
  def __init__(
      self,
      in_features: int,
      features: int = 6,
      hidden: int = 13,
      layers: int = 3,
      *,
      rngs: nnx.Rngs,
  ):
    self.features = features
    self.hidden = hidden
    self.layers = layers
    self.dense = nnx.Linear(in_features, self.features, rngs=rngs)
    blocks = scan(
      remat(Block, static_argnums=(2,)),
      variable_axes={"params": 0},
      split_rngs={"params": True, "dropout": True},
      in_axes=broadcast,
      length=self.layers,
    )
    self.blocks = blocks(self.features, self.features, self.hidden, rngs=rngs)
    self.layer_norm = nnx.LayerNorm(self.features, rngs=rngs)

  def __call__(self, x, train: bool):
    x = self.dense(x)
    x, _ = self.blocks(x, train)
    return self.layer_norm(x)
