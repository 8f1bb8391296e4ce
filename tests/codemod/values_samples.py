"""Importable things for the tests of written values."""

import collections
import dataclasses
import enum
import functools
import random
import types
from typing import Any, NamedTuple

import flax.struct
import jax


class Color(enum.Enum):
  RED = 1
  BLUE = "b"


class Bits(enum.Flag):
  A = 1
  B = 2


class Pair(NamedTuple):
  first: Any
  second: Any = None


@dataclasses.dataclass(frozen=True)
class Config:
  width: int = 3
  act: Any = jax.nn.relu
  inner: Any = None
  names: list = dataclasses.field(default_factory=list)
  derived: int = dataclasses.field(default=0, init=False)

  def __post_init__(self):
    object.__setattr__(self, "derived", self.width * 2)

  @functools.cached_property
  def cached(self):
    return object()

  def method(self, x):
    return x + self.width


@flax.struct.dataclass
class State:
  step: int = 0
  size: Any = flax.struct.field(pytree_node=False, default=())


class Pretrained:
  """Like a configuration of transformers: named parameters, the rest through **kwargs."""

  model_type = "pre"

  def __init__(self, hidden=8, layers=2, act="gelu", **kwargs):
    self.hidden = hidden
    self.layers = layers
    self.act = act
    self.ratio = hidden // 2
    self.dropout = kwargs.pop("dropout", 0.1)
    self._commit = None
    for name, value in kwargs.items():
      setattr(self, name, value)


class Odd:
  """Its constructor cannot be guessed."""

  def __init__(self, secret):
    self.total = secret + 1 if isinstance(secret, int) else secret
    self.parts = [secret]


class Slotted:
  __slots__ = ("a", "b")

  def __init__(self, a, b=2):
    self.a = a
    self.b = b


class Hidden:
  def __init__(self, path, _mode="r"):
    self._path = path
    self.__mode = _mode

  def mode(self):
    return self.__mode


class Tuple2(tuple):
  pass


class Count(collections.Counter):
  pass


class Native(random.Random):
  pass


SENTINEL = object()
CONSTANT = Odd([Native()])
NAMESPACE = types.SimpleNamespace(a=1, b=[1, 2])


def scaled(factor, shift=0.0):
  def apply(x):
    return x * factor + shift

  return apply


def plain(x):
  return x


jitted = jax.jit(plain)


class Holder:
  class Inner:
    @staticmethod
    def call():
      return 1

    @classmethod
    def make(cls):
      return cls()


class Operator:
  """It makes its adjoint when somebody asks for it."""

  def __init__(self, size, scale=None):
    self.size = size
    self._scale = scale
    self._adjoint = None

  def adjoint(self, x):
    if self._adjoint is None:
      self._adjoint = jax.linear_transpose(lambda y: y * 2, jax.ShapeDtypeStruct((self.size,), "float32"))
    return self._adjoint(x)
