"""Layers as fields.

Fields that hold a class or a partial of one are what they were; they are given sizes where they are called.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from flax import nnx

ModuleDef = Any


class Residual(nnx.Module):
  def __init__(
      self,
      in_features: int,
      filters: int,
      conv: ModuleDef,
      norm: ModuleDef,
      activation: Callable,
      *,
      rngs: nnx.Rngs,
  ):
    self.filters = filters
    self.conv = conv
    self.norm = norm
    self.activation = activation
    self.batch_norm = self.norm(self.filters, rngs=rngs)
    self.conv_1 = self.conv(in_features, self.filters, (3, 3), rngs=rngs)
    self.batch_norm_1 = self.norm(self.filters, scale_init=nnx.initializers.zeros, rngs=rngs)
    self.conv_2 = self.conv(self.filters, self.filters, (3, 3), rngs=rngs)
    if in_features != self.filters:
      self.project = self.conv(in_features, self.filters, (1, 1), rngs=rngs)

  def __call__(self, x, *, use_running_average=None):
    y = self.activation(self.batch_norm(self.conv_1(x), use_running_average=use_running_average))
    y = self.batch_norm_1(self.conv_2(y), use_running_average=use_running_average)
    if x.shape != y.shape:
      x = self.project(x)
    return self.activation(x + y)


class ResNet(nnx.Module):
  def __init__(
      self,
      in_features: int,
      stages: tuple[int, ...] = (4, 6),
      activation: Callable = nnx.relu,
      *,
      rngs: nnx.Rngs,
  ):
    self.stages = stages
    self.activation = activation
    conv = partial(nnx.Conv, use_bias=False)
    norm = partial(nnx.BatchNorm, momentum=0.9)
    x_features = in_features
    self.residual = nnx.List([])
    for filters in self.stages:
      self.residual.append(Residual(x_features, filters, conv, norm, self.activation, rngs=rngs))
      x_features = filters

  def __call__(self, x, train: bool = True):
    for residual in self.residual:
      x = residual(x, use_running_average=not train)
    return x.mean(axis=(1, 2))
