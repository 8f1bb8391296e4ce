"""Fields of dataclasses that are no modules."""

from __future__ import annotations

import dataclasses

from flax import linen as nn

from migrate.codemod.plain_bases import plain_dataclass
from tests.codemod.support import port_and_check

SOURCE = """
    import dataclasses

    @dataclasses.dataclass
    class Config:
      features: int = 4
      layers: int = 2

      @property
      def given(self):
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(Config)}

    class Block(Config, nn.Module):
      scale: float = 2.0

      def setup(self):
        self.dense = nn.Dense(self.features)

      def __call__(self, x):
        return self.dense(x) * self.scale

    class Model(Config, nn.Module):
      def setup(self):
        self.blocks = [Block(**self.given, scale=0.5) for _ in range(self.layers)]

      def __call__(self, x):
        for block in self.blocks:
          x = block(x)
        return x

    class Deeper(Model):
      def setup(self):
        super().setup()
        self.last = nn.Dense(self.features)

      def __call__(self, x):
        return self.last(super().__call__(x))
    """


def test_the_dataclass_sets_its_fields(tmp_path):
  ported = port_and_check(tmp_path, SOURCE, "Model(4, layers=3), x(2, 4)", held_out=["Model(5, 2), x(2, 5)"])
  assert "def __init__(self, in_features: int, *args, scale: float = 2.0, rngs: nnx.Rngs, **kwargs):" in ported.text
  assert ported.text.count("Config.__init__(self, *args, **kwargs)\n") == 2
  assert "class Config:\n  features: int = 4\n" in ported.text


def test_class_under_such_a_class(tmp_path):
  ported = port_and_check(tmp_path, SOURCE, "Deeper(4, layers=3), x(2, 4)", held_out=["Deeper(5, 2), x(2, 5)"])
  assert "super().__init__(*args, in_features=in_features, rngs=rngs, **kwargs)" in ported.text


def test_modules_and_plain_classes_are_none():
  @dataclasses.dataclass
  class Config:
    size: int = 1

  class Mixin:
    def twice(self):
      return 2 * self.size

  class With(Config, nn.Module):
    pass

  class Without(Mixin, nn.Module):
    size: int

  assert plain_dataclass(With) is Config
  assert plain_dataclass(Without) is None
  assert plain_dataclass(nn.Dense) is None
