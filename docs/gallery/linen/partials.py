"""Layers as fields.

Fields that hold a class or a partial of one are what they were; they are given sizes where they are called.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn

ModuleDef = Any


class Residual(nn.Module):
  filters: int
  conv: ModuleDef
  norm: ModuleDef
  activation: Callable

  @nn.compact
  def __call__(self, x):
    y = self.activation(self.norm()(self.conv(self.filters, (3, 3))(x)))
    y = self.norm(scale_init=nn.initializers.zeros)(self.conv(self.filters, (3, 3))(y))
    if x.shape != y.shape:
      x = self.conv(self.filters, (1, 1), name="project")(x)
    return self.activation(x + y)


class ResNet(nn.Module):
  stages: tuple[int, ...] = (4, 6)
  activation: Callable = nn.relu

  @nn.compact
  def __call__(self, x, train: bool = True):
    conv = partial(nn.Conv, use_bias=False)
    norm = partial(nn.BatchNorm, use_running_average=not train, momentum=0.9)
    for filters in self.stages:
      x = Residual(filters, conv, norm, self.activation)(x)
    return x.mean(axis=(1, 2))
