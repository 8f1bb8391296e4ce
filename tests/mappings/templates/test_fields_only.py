"""A decorator that records a constructor's arguments, on a module that also takes `rngs`."""

from __future__ import annotations

import dataclasses
import functools

from flax import nnx

from mappings.templates.fields_only import fields_only


def recording(cls):
  construct = cls.__init__

  @functools.wraps(construct)
  def init(self, *args, **kwargs):
    self.recorded = (args, tuple(sorted(kwargs.items())))
    construct(self, *args, **kwargs)

  cls.__init__ = init
  return cls


@fields_only(recording)
@dataclasses.dataclass(eq=False, repr=False)
class Model(nnx.Module):
  features: int = 3
  bias: bool = True
  _: dataclasses.KW_ONLY
  in_features: dataclasses.InitVar[int]
  rngs: dataclasses.InitVar[nnx.Rngs]

  def __post_init__(self, in_features: int, rngs: nnx.Rngs):
    self.dense = nnx.Linear(in_features, self.features, use_bias=self.bias, rngs=rngs)


def test_decorator_sees_fields_only():
  model = Model(4, bias=False, in_features=2, rngs=nnx.Rngs(0))
  assert model.recorded == ((4,), (("bias", False),))
  assert model.dense.kernel.shape == (2, 4)
  assert model.dense.bias is None


def test_a_subclass_and_a_model_inside_each_get_their_own():
  class Two(Model):
    def __init__(self, *, rngs):
      super().__init__(5, in_features=7, rngs=rngs)
      self.inner = Model(in_features=5, rngs=rngs)

  model = Two(rngs=nnx.Rngs(0))
  assert model.recorded == ((5,), ())
  assert model.inner.recorded == ((), ())
  assert model.inner.dense.kernel.shape == (5, 3)
