"""A small residual network with BatchNorm, in Linen."""

import functools
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp


class ResidualBlock(nn.Module):
  """Two convolutions, each with BatchNorm, and a way around them."""

  filters: int
  strides: tuple[int, int] = (1, 1)

  @nn.compact
  def __call__(self, x, train: bool):
    norm = functools.partial(nn.BatchNorm, use_running_average=not train, momentum=0.9)
    y = nn.Conv(self.filters, (3, 3), self.strides, use_bias=False)(x)
    y = nn.relu(norm()(y))
    y = nn.Conv(self.filters, (3, 3), use_bias=False)(y)
    # zero at first, so that the block starts as the identity
    y = norm(scale_init=nn.initializers.zeros)(y)
    if x.shape != y.shape:
      x = nn.Conv(self.filters, (1, 1), self.strides, use_bias=False, name="shortcut")(x)
      x = norm(name="shortcut_norm")(x)
    return nn.relu(x + y)


class ResNet(nn.Module):
  """A residual network for small images.

  Attributes:
    stages: blocks of each stage; every stage but the first halves the image.
    filters: of the first stage.
    classes: how many logits.
  """

  stages: Sequence[int]
  filters: int
  classes: int

  @nn.compact
  def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
    x = nn.Conv(self.filters, (3, 3), use_bias=False)(images)
    x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
    for stage, blocks in enumerate(self.stages):
      for block in range(blocks):
        strides = (2, 2) if stage > 0 and block == 0 else (1, 1)
        x = ResidualBlock(self.filters * 2**stage, strides)(x, train)
    return nn.Dense(self.classes)(jnp.mean(x, axis=(1, 2)))
