"""The signature and first lines of `__init__`."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

TRAIN = "Example({model}, ({args}, False), calls=(Call(({args}, True), rngs=('dropout',), mutable=['batch_stats']),))"


def test_configuration_object_as_a_field(tmp_path):
  source = """
    import dataclasses

    @dataclasses.dataclass(frozen=True)
    class Config:
      hidden: int = 7
      layers: int = 2
      rate: float = 0.1

    class Block(nn.Module):
      config: Config

      @nn.compact
      def __call__(self, x, train):
        cfg = self.config
        x = nn.Dense(cfg.hidden)(x)
        return nn.Dropout(cfg.rate)(x, deterministic=not train)

    class Model(nn.Module):
      config: Config

      @nn.compact
      def __call__(self, x, train):
        for _ in range(self.config.layers):
          x = Block(self.config)(x, train)
        return x
    """
  ported = port_and_check(
    tmp_path,
    source,
    TRAIN.format(model="Model(Config())", args="x(2, 7)"),
    held_out=["Model(Config(5, 3)), x(2, 5), False"],
  )
  assert "config: Config" in ported.text


@pytest.mark.parametrize(
  "default", ["dataclasses.field(default_factory=lambda: (7, 5))", "(7, 5)", "dataclasses.field(default=(7, 5))"]
)
def test_defaults_of_every_sort(tmp_path, default):
  source = f"""
import dataclasses

class Model(nn.Module):
  features: Sequence[int] = {default}

  @nn.compact
  def __call__(self, x):
    for f in self.features:
      x = nn.Dense(f)(x)
    return x
"""
  port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model((2, 11)), x(2, 5)"])


def test_default_that_every_module_reads_anew(tmp_path):
  source = """
import dataclasses

class Settings:
  width = 5

settings = Settings()

class Model(nn.Module):
  width: int = dataclasses.field(default_factory=lambda: settings.width)
  dtype: Any = dataclasses.field(default_factory=lambda: jnp.float32)

  @nn.compact
  def __call__(self, x):
    return nn.Dense(self.width, dtype=self.dtype)(x)
"""
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(4), x(2, 3)"])
  assert "width: int | None = None" in ported.text
  assert "self.width = width if width is not None else settings.width" in ported.text
  assert "dtype: Any = jnp.float32" in ported.text


def test_default_that_a_subclass_of_a_layer_reads_anew(tmp_path):
  source = """
import dataclasses

class Settings:
  scale = 5.0

settings = Settings()

class Scaled(nn.Dense):
  scale: float = dataclasses.field(default_factory=lambda: settings.scale)

  @nn.compact
  def __call__(self, x):
    return self.scale * super().__call__(x)

class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    return Scaled(3)(x)
"""
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert "self.scale = scale if scale is not None else settings.scale" in ported.text


def test_default_of_a_base_in_another_file_that_is_read_anew(tmp_path):
  files = {
    "settings.py": """
      class Settings:
        width = 5

      settings = Settings()
    """,
    "base.py": """
      import dataclasses

      from flax import linen as nn
      from settings import settings

      class Base(nn.Module):
        width: int = dataclasses.field(default_factory=lambda: settings.width)
    """,
    "model.py": """
      from base import Base
      from flax import linen as nn

      class Model(Base):
        @nn.compact
        def __call__(self, x):
          return nn.Dense(self.width)(x)
    """,
  }
  port_and_check(tmp_path, files, "Model(), x(2, 3)", held_out=["Model(4), x(2, 3)"])


def test_keyword_only_fields(tmp_path):
  source = """
    import dataclasses

    class Model(nn.Module):
      features: int
      _: dataclasses.KW_ONLY
      bias: bool = False

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.features, use_bias=self.bias)(x)
    """
  port_and_check(tmp_path, source, "Model(7), x(2, 5)", held_out=["Model(3, bias=True), x(2, 2)"])


def test_module_and_class_fields(tmp_path):
  source = """
    class Block(nn.Module):
      features: int
      norm: Callable = nn.LayerNorm

      @nn.compact
      def __call__(self, x):
        return nn.relu(self.norm()(nn.Dense(self.features)(x)))

    class Model(nn.Module):
      block: Any = Block

      @nn.compact
      def __call__(self, x):
        for f in (7, 5):
          x = self.block(f)(x)
        return x
    """
  port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(), x(2, 11)"])


def test_layers_as_default_values_are_made_by_each_module(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    import dataclasses

    class Scale(nn.Module):
      by: float = 2.0

      def __call__(self, x):
        return x * self.by

    class Head(nn.Module):
      out: int = 7

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.out)(x)

    class Model(nn.Module):
      scale: nn.Module = Scale()
      head: nn.Module = Head()
      norm: nn.Module = dataclasses.field(default_factory=lambda: nn.LayerNorm())
      last: nn.Module = dataclasses.field(default_factory=nn.LayerNorm)
      shift: nn.Module = dataclasses.field(default_factory=Scale)
      act: Callable = nn.relu

      @nn.compact
      def __call__(self, x):
        return self.act(self.scale(self.shift(self.last(self.norm(self.head(x))))))
    """,
    "Model(), x(2, 5)",
    held_out=["Model(Scale(3.0)), x(2, 3)"],
  )
  assert "scale: nnx.Module | None = None" in ported.text
  assert "self.scale = scale if scale is not None else Scale(rngs=rngs)" in ported.text
  assert "head: nnx.Module,\n" in ported.text  # needs a size, so that no default can be right
  assert "act: Callable = nnx.relu" in ported.text


def test_default_over_several_lines_keeps_its_shape(tmp_path):
  source = """
    class Model(nn.Module):
      features: Sequence[int] = (
        7,
        5,
      )

      @nn.compact
      def __call__(self, x):
        for f in self.features:
          x = nn.Dense(f)(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert "      features: Sequence[int] = (\n        7,\n        5,\n      ),\n" in ported.text


def test_default_that_is_another_field(tmp_path):
  source = """
    class Model(nn.Module):
      groups: int = 1
      heads: int = groups
      width: int = 2 * heads + 3

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(x) * self.heads
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(heads=2), x(2, 5)"])
  assert "heads: int = 1,\n      width: int = 2 * 1 + 3,\n" in ported.text


def test_defaults_that_a_function_makes_are_written_out(tmp_path):
  source = """
    import dataclasses

    options = lambda: dataclasses.field(default_factory=dict)
    needed = lambda: dataclasses.field()
    steps = lambda: dataclasses.field(default_factory=lambda: [2, 3])

    class Model(nn.Module):
      width: int = needed()
      given: dict = options()
      factors: list = steps()

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width, **self.given)(x) * self.factors[1]
    """
  ported = port_and_check(tmp_path, source, "Model(5), x(2, 3)")
  assert "width: int,\n" in ported.text
  assert "given: dict = {}" in ported.text
  assert "factors: list = steps().default_factory()" in ported.text


def test_a_renamed_field_function_is_one(tmp_path):
  source = """
    from dataclasses import field as made

    class Model(nn.Module):
      given: dict = made(default_factory=lambda: {})
      widths: Sequence[int] = made(default_factory=lambda: [])

      @nn.compact
      def __call__(self, x):
        for width in self.widths:
          x = nn.Dense(width, **self.given)(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(widths=(7, 5)), x(2, 3)")
  assert "given: dict = {},\n" in ported.text
  assert "widths: Sequence[int] = (),\n" in ported.text


def test_fields_that_the_constructor_does_not_take(tmp_path):
  source = """
    import dataclasses

    class Embed(nn.Module):
      num: int
      features: int
      embedding: jax.Array = dataclasses.field(init=False)
      # how often it was read
      scale: float = dataclasses.field(default=2.0, init=False)

      def setup(self):
        self.embedding = self.param("embedding", nn.initializers.normal(), (self.num, self.features))

      def __call__(self, ids):
        return self.scale * jnp.take(self.embedding, ids, axis=0)

    class Tied(Embed):
      bias: bool = True

      def __call__(self, ids):
        x = super().__call__(ids)
        return x @ self.embedding.T
    """
  ported = port_and_check(tmp_path, source, "Embed(7, 4), ids(2, 3)", held_out=["Embed(5, 3), ids(2, 2)"])
  assert "  def __init__(self, num: int, features: int, *, rngs: nnx.Rngs):" in ported.text
  assert "    # how often it was read\n    self.scale = 2.0\n" in ported.text
  ported = port_and_check(tmp_path, source, "Tied(7, 4), ids(2, 3)")
  assert "super().__init__(num=num, features=features, rngs=rngs)" in ported.text


def test_field_that_holds_a_pair_of_arrays(tmp_path):
  source = """
    import numpy

    class Model(nn.Module):
      width: int
      pair: Any = None

      @nn.compact
      def __call__(self, x):
        x = nn.Dense(self.width)(x)
        return x if self.pair is None else x * self.pair[0] + self.pair[1]
    """
  ported = port_and_check(
    tmp_path, source, "Model(3, (numpy.ones(3), numpy.zeros(3))), x(2, 5)", held_out=["Model(4), x(2, 5)"]
  )
  assert "self.pair = nnx.List(pair) if pair is not None else None" in ported.text


def test_base_s_field_annotated_with_a_class_in_the_base(tmp_path):
  source = """
    import dataclasses

    class Base(nn.Module):
      @dataclasses.dataclass(frozen=True)
      class HParams:
        width: int = 7

      hparams: HParams
      other: Any = HParams()

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.hparams.width)(x) * self.other.width

    class Model(Base):
      @nn.compact
      def __call__(self, x):
        return super().__call__(x) + nn.Dense(1)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(Base.HParams(3)), x(2, 5)")
  assert "(self, in_features: int, hparams: HParams, other: Any = HParams(), *," in ported.text
  assert "      hparams: Base.HParams,\n      other: Any = Base.HParams(),\n" in ported.text


def test_layers_that_need_not_be_given(tmp_path):
  source = """
    class Model(nn.Module):
      dense: nn.Module
      encoders: tuple[nn.Module, nn.Module] | None = None

      def __call__(self, x):
        if self.encoders is not None:
          x = self.encoders[1](self.encoders[0](x))
        return self.dense(x)
    """
  ported = port_and_check(
    tmp_path,
    source,
    "Model(nn.Dense(3), (nn.Dense(5), nn.Dense(2))), x(2, 7)",
    held_out=["Model(nn.Dense(3)), x(2, 7)"],
  )
  assert "self.encoders = nnx.List(encoders) if encoders is not None else None" in ported.text
