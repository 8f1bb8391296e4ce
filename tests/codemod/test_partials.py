"""Partials of layers, and what they leave to the call."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check


def test_partial_fields_of_layers(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 7
      dense: Any = functools.partial(nn.Dense, use_bias=False)
      norm: Any = nn.LayerNorm

      @nn.compact
      def __call__(self, x):
        return self.norm()(self.dense(self.width)(x))
    """
  port_and_check(
    tmp_path,
    source,
    "Model(), x(2, 5)",
    held_out=["Model(3, functools.partial(nn.Dense, dtype=jnp.float32), nn.RMSNorm), x(2, 2)"],
  )


def test_partial_of_a_project_s_class(tmp_path):
  source = """
    class Block(nn.Module):
      features: int
      rate: float = 0.0

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.features)(x) * (1 - self.rate)

    class Model(nn.Module):
      block: Any = functools.partial(Block, rate=0.5)

      @nn.compact
      def __call__(self, x):
        return self.block(3)(self.block(7)(x))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 2)"])


def test_partial_of_a_layer_as_a_local(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 7

      @nn.compact
      def __call__(self, x, train: bool = False):
        dense = functools.partial(nn.Dense, use_bias=False, kernel_init=nn.initializers.normal(0.02))
        norm = functools.partial(nn.BatchNorm, use_running_average=not train, momentum=0.9)
        x = nn.relu(norm()(dense(self.width)(x)))
        return norm()(dense(3)(x))
    """
  call = "Example(Model(), (x(2, 5),), calls=(Call((x(2, 5), True), mutable=['batch_stats']),))"
  ported = port_and_check(tmp_path, source, call, held_out=["Model(2), x(2, 3)"])
  assert "functools.partial(nnx.Linear, use_bias=False" in ported.text


def test_partial_of_a_function_is_left_alone(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        act = functools.partial(jax.nn.leaky_relu, negative_slope=0.3)
        return act(nn.Dense(3)(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "    act = functools.partial(jax.nn.leaky_relu, negative_slope=0.3)\n" in ported.text


def test_partial_fields_with_a_flag_of_the_call(tmp_path):
  source = """
    class Block(nn.Module):
      filters: int
      conv: Any
      norm: Any
      act: Callable
      strides: tuple[int, int] = (1, 1)

      @nn.compact
      def __call__(self, x):
        residual = x
        y = self.conv(self.filters, (3, 3), self.strides)(x)
        y = self.act(self.norm()(y))
        y = self.conv(self.filters, (3, 3))(y)
        y = self.norm(scale_init=nn.initializers.zeros_init())(y)
        if residual.shape != y.shape:
          residual = self.conv(self.filters, (1, 1), self.strides, name="conv_proj")(residual)
          residual = self.norm(name="norm_proj")(residual)
        return self.act(residual + y)

    class Model(nn.Module):
      stages: Sequence[int] = (1, 2)
      filters: int = 5
      classes: int = 3
      dtype: Any = jnp.float32

      @nn.compact
      def __call__(self, x, train: bool = True):
        conv = functools.partial(nn.Conv, use_bias=False, dtype=self.dtype)
        norm = functools.partial(nn.BatchNorm, use_running_average=not train, momentum=0.9, dtype=self.dtype)
        x = conv(self.filters, (3, 3), name="conv_init")(x)
        x = nn.relu(norm(name="bn_init")(x))
        for i, blocks in enumerate(self.stages):
          for j in range(blocks):
            strides = (2, 2) if i > 0 and j == 0 else (1, 1)
            x = Block(self.filters * 2**i, conv=conv, norm=norm, act=nn.relu, strides=strides)(x)
        x = jnp.mean(x, axis=(1, 2))
        return nn.Dense(self.classes, dtype=self.dtype)(x)
    """
  call = "Example(Model(), (x(2, 8, 8, 3), False), calls=(Call((x(2, 8, 8, 3), True), mutable=['batch_stats']),))"
  ported = port_and_check(tmp_path, source, call, held_out=["Model((2, 1, 1), 7, 2), x(2, 8, 8, 2), False"])
  assert ported.hoisted == []


def test_function_that_gives_a_partial_of_what_only_the_call_knows(tmp_path):
  source = """
    def norm_layer(train, kind="batch"):
      if kind == "batch":
        return functools.partial(nn.BatchNorm, use_running_average=not train, momentum=0.9)
      return functools.partial(nn.LayerNorm, epsilon=1e-3)


    class Block(nn.Module):
      features: int
      norm: Any
      conv: Any = nn.Conv

      @nn.compact
      def __call__(self, x):
        return self.conv(self.features, (3,))(nn.relu(self.norm()(x)))


    class Model(nn.Module):
      kind: str = "batch"

      @nn.compact
      def __call__(self, x, train: bool = False):
        norm = norm_layer(
          train=train,
          kind=self.kind,
        )
        arguments = dict(norm=norm, conv=nn.Conv)
        x = Block(7, **arguments)(x)
        return norm()(x)
    """
  call = "Example(Model(), (x(2, 5, 3),), calls=(Call((x(2, 5, 3), True), mutable=['batch_stats']),))"
  ported = port_and_check(tmp_path, source, call, held_out=["Model(), x(2, 6, 5)"])
  assert "    norm = norm_layer(\n      train=False,\n      kind=self.kind,\n    )\n" in ported.text
  assert "x = self.block(x, use_running_average=not train)" in ported.text
  assert "return self.batch_norm(x, use_running_average=not train)" in ported.text


def test_function_that_gives_a_partial_without_what_only_the_call_knows(tmp_path):
  source = """
    def norm_layer(train, kind="batch"):
      if kind == "batch":
        return functools.partial(nn.BatchNorm, use_running_average=not train, momentum=0.9)
      return functools.partial(nn.LayerNorm, epsilon=1e-3)


    class Model(nn.Module):
      kind: str = "layer"

      @nn.compact
      def __call__(self, x, train: bool = False):
        return norm_layer(train, self.kind)()(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 3)"])
  assert "self.layer_norm = norm_layer(False, self.kind)(in_features, rngs=rngs)" in ported.text


TORSO = """
class Torso(nn.Module):
  sizes: tuple = (4,)
  act: str = "tanh"

  @nn.compact
  def __call__(self, x):
    for size in self.sizes:
      x = getattr(nn, self.act)(nn.Dense(size)(x))
    return x

"""


def test_a_partial_of_a_class_of_the_project_gives_its_fields_by_name(tmp_path):
  source = (
    TORSO
    + """
class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    torso = functools.partial(Torso, (4, 3), act="relu")
    return torso(name="a")(x) + torso()(x)
"""
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=["Model(), x(3, 5)"])
  assert 'torso = functools.partial(Torso, sizes=(4, 3), act="relu")' in ported.text


def test_a_partial_of_a_class_of_the_project_as_a_field(tmp_path):
  source = (
    TORSO
    + """
class Model(nn.Module):
  torso: Callable[..., nn.Module] = Torso

  @nn.compact
  def __call__(self, x):
    return nn.Dense(2)(self.torso(name="torso")(x))
"""
  )
  example = 'Model(functools.partial(Torso, (4, 3), "relu")), x(2, 6)'
  ported = port_and_check(tmp_path, source, example)
  assert 'functools.partial(Torso, sizes=(4, 3), act="relu")' in ported.draft.files["ported.py"].replace("'", '"')


def test_a_long_partial_has_a_line_for_each_argument(tmp_path):
  source = """
    class Model(nn.Module):
      kernel_init: Callable = nn.initializers.lecun_normal()
      bias_init: Callable = nn.initializers.zeros_init()
      use_bias: bool = True

      @nn.compact
      def __call__(self, x):
        dense = functools.partial(
          nn.Dense,
          kernel_init=self.kernel_init,
          bias_init=self.bias_init,
          use_bias=self.use_bias,
          param_dtype=jnp.float32,
        )
        return dense(3)(nn.relu(dense(7)(x)))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert max(map(len, ported.text.splitlines())) <= 100


def test_a_partial_that_gives_nothing_but_a_flag_of_the_call_is_the_class(tmp_path):
  source = """
    class Block(nn.Module):
      norm: Any

      @nn.compact
      def __call__(self, x):
        return self.norm()(nn.Dense(4)(x))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, train: bool = False):
        norm = functools.partial(nn.BatchNorm, use_running_average=not train)
        return Block(norm)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "norm = nnx.BatchNorm\n" in ported.text
  assert "functools" not in ported.text


def test_function_that_gives_a_partial_of_a_project_s_class_with_a_name(tmp_path):
  source = """
    class Block(nn.Module):
      features: int
      rate: float = 0.0

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.features)(x) * (1 - self.rate)

    def named(name):
      return functools.partial(dict, name=name)

    def make_block(rate=None):
      return functools.partial(Block, name="block", rate=0.5 if rate is None else rate)

    class Model(nn.Module):
      rate: Any = None

      @nn.compact
      def __call__(self, x):
        return make_block(self.rate)(features=3)(x), named("kept")()["name"] == "kept"
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(0.25), x(2, 5)"])
  assert "return functools.partial(Block, rate=0.5 if rate is None else rate)" in ported.text
  assert "return functools.partial(dict, name=name)" in ported.text


def test_a_partial_handed_to_a_class_whose_base_has_the_method(tmp_path):
  source = """
    class Block(nn.Module):
      norm: Any
      width: int = 3

      @nn.compact
      def __call__(self, x):
        return self.norm()(nn.Dense(self.width)(x))

    class Wide(Block):
      width: int = 7

    class Other(Block):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(nn.LayerNorm()(x))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, train: bool = False):
        x = Other(norm=nn.LayerNorm)(x)
        return Wide(norm=functools.partial(nn.BatchNorm, use_running_average=not train))(x)
    """
  call = "Example(Model(), (x(2, 5),), calls=(Call((x(2, 5), True), mutable=['batch_stats']),))"
  ported = port_and_check(tmp_path, source, call, held_out=["Model(), x(2, 11)"])
  assert "self.wide(x, use_running_average=not train)" in ported.text
  assert "self.other(x)" in ported.text


def test_partial_of_what_only_the_call_knows_from_a_file_beside(tmp_path):
  files = {
    "norms.py": """
      import functools

      from flax import linen as nn


      def normalizer(kind, train):
        if kind == "batch":
          return functools.partial(
            nn.BatchNorm,
            use_running_average=not train,
            momentum=0.9,  # the paper's
          )
        raise ValueError(kind)


      def activation(name):
        return {"relu": nn.relu}[name]
      """,
    "model.py": """
      import norms
      from flax import linen as nn


      class Model(nn.Module):
        kind: str = "batch"

        @nn.compact
        def __call__(self, x, train=False):
          norm = norms.normalizer(self.kind, train)
          x = norm()(nn.Dense(7)(x))
          return norms.activation("relu")(nn.Dense(3)(x))
      """,
  }
  call = "Example(Model(), (x(2, 5),), calls=(Call((x(2, 5), True), mutable=['batch_stats']),))"
  ported = port_and_check(tmp_path, files, call, held_out=["Model(), x(2, 6)"])
  assert "self.batch_norm(self.dense(x), use_running_average=not train)" in ported.text
  norms = next(text for path, text in ported.rewriting.sources.items() if "norms" in str(path))
  assert "return functools.partial(\n        nnx.BatchNorm,\n" in norms


@pytest.mark.parametrize(
  ("line", "partial"), [("pass", "functools.partial"), ("from functools import partial", "partial")]
)
def test_layer_with_an_array_in_a_field_is_handed_on_with_it(tmp_path, line, partial):
  source = f"""
    {line}

    class Conditioner(nn.Module):
      y: jax.Array
      width: int = 3

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(jnp.concatenate([x, self.y], axis=-1))

    def twice(function, x):
      return function(x) + function(2 * x)

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, y):
        conditioner = Conditioner(y)
        return twice(conditioner, x) + twice(Conditioner(y, name="other"), {partial}(jnp.clip, min=0)(x)) + conditioner(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5), x(2, 7)", held_out=["Model(), x(2, 4), x(2, 3)"])
  assert f"twice({partial}(self.conditioner, y=y), x)" in ported.text
  assert f"twice({partial}(self.other, y=y), {partial}(jnp.clip, min=0)(x))" in ported.text
  assert "+ self.conditioner(x, y=y)" in ported.text
