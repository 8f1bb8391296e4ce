"""A small residual network, as one writes it in Linen."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx

ModuleDef = Any


class ResNetBlock(nnx.Module):
  """Two convolutions and a way around them."""

  def __init__(
      self,
      in_features: int,
      filters: int,
      conv: ModuleDef,
      norm: ModuleDef,
      act: Callable,
      strides: tuple[int, int] = (1, 1),
      *,
      rngs: nnx.Rngs,
  ):
    self.filters = filters
    self.conv = conv
    self.norm = norm
    self.act = act
    self.strides = strides
    self.conv_1 = self.conv(in_features, self.filters, (3, 3), self.strides, rngs=rngs)
    self.batch_norm = self.norm(self.filters, rngs=rngs)
    self.conv_2 = self.conv(self.filters, self.filters, (3, 3), rngs=rngs)
    self.batch_norm_1 = self.norm(self.filters, scale_init=nnx.initializers.zeros_init(), rngs=rngs)
    if in_features != self.filters or tuple(self.strides) != (1, 1):
      self.conv_proj = self.conv(in_features, self.filters, (1, 1), self.strides, rngs=rngs)
      self.norm_proj = self.norm(self.filters, rngs=rngs)

  def __call__(self, x, *, use_running_average=None):
    residual = x
    y = self.conv_1(x)
    y = self.batch_norm(y, use_running_average=use_running_average)
    y = self.act(y)
    y = self.conv_2(y)
    # the last scale starts at zero, so that the block starts as the identity
    y = self.batch_norm_1(y, use_running_average=use_running_average)

    if residual.shape != y.shape:
      residual = self.conv_proj(residual)
      residual = self.norm_proj(residual, use_running_average=use_running_average)

    return self.act(residual + y)


class ImageClassifier(nnx.Module):
  """A residual network.

  Attributes:
    stage_sizes: blocks in each stage.
    num_classes: how many logits.
  """

  def __init__(
      self,
      in_features: int,
      stage_sizes: Sequence[int],
      num_classes: int,
      block_cls: ModuleDef = ResNetBlock,
      num_filters: int = 8,  # of the first stage
      dtype: Any = jnp.float32,
      act: Callable = nnx.relu,
      *,
      rngs: nnx.Rngs,
  ):
    self.stage_sizes = stage_sizes
    self.num_classes = num_classes
    self.block_cls = block_cls
    self.num_filters = num_filters
    self.dtype = dtype
    self.act = act
    conv = functools.partial(nnx.Conv, use_bias=False, dtype=self.dtype)
    norm = functools.partial(nnx.BatchNorm, momentum=0.9, epsilon=1e-5, dtype=self.dtype)
    self.conv_init = conv(in_features, self.num_filters, (3, 3), rngs=rngs)
    self.bn_init = norm(self.num_filters, rngs=rngs)
    x_features = self.num_filters
    self.res_net_block = nnx.List([])
    for i, block_size in enumerate(self.stage_sizes):
      for j in range(block_size):
        strides = (2, 2) if i > 0 and j == 0 else (1, 1)
        self.res_net_block.append(self.block_cls(
            x_features,
            self.num_filters * 2**i,
            strides=strides,
            conv=conv,
            norm=norm,
            act=self.act,
            rngs=rngs,
        ))
        x_features = self.num_filters * 2**i
    self.dense = nnx.Linear(x_features, self.num_classes, dtype=self.dtype, rngs=rngs)

  def __call__(self, x, train: bool = True):
    x = self.conv_init(x)
    x = self.bn_init(x, use_running_average=not train)
    x = self.act(x)
    x = nnx.max_pool(x, (2, 2), strides=(2, 2), padding="SAME")
    for res_net_block in self.res_net_block:
      x = res_net_block(x, use_running_average=not train)
    x = jnp.mean(x, axis=(1, 2))
    x = self.dense(x)
    return jnp.asarray(x, self.dtype)
