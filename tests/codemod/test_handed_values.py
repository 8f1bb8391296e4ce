"""What a call hands to a module and layers are made with."""

from __future__ import annotations

from tests.codemod.support import port_and_check, rewrite

_BLOCK = """
  class Layer(nn.Module):
    width: int
    activation: Any

    @nn.compact
    def __call__(self, x):
      return self.activation(nn.Dense(self.width)(x))

  class Block(nn.Module):
    depth: int

    @nn.compact
    def __call__(self, x, activation):
      def layer(width):
        return Layer(width, activation)

      for _ in range(self.depth):
        x = layer(6)(x)
      return x
  """


def test_caller_gives_the_function_to_the_constructor_as_well(tmp_path):
  source = (
    _BLOCK
    + """
  class Model(nn.Module):
    kind: str

    @nn.compact
    def __call__(self, x):
      if self.kind == "relu":
        activation = nn.relu
      else:
        activation = nn.tanh
      return Block(2)(x, activation)
  """
  )
  ported = port_and_check(tmp_path, source, 'Model("tanh"), x(2, 5)', held_out=['Model("relu"), x(2, 4)'])
  assert "activation: Callable" in ported.text
  assert "from collections.abc import Callable" in ported.text
  assert ported.hoisted == []


def test_function_of_the_model_itself_is_an_argument(tmp_path):
  ported = port_and_check(tmp_path, _BLOCK, "Block(2), x(2, 5), nn.tanh")
  assert "activation: Callable" in ported.text


_CAST = """
  class Block(nn.Module):
    width: int = 7

    @nn.compact
    def __call__(self, x, train=False, dtype: Any = jnp.float32, kernel=(3, 3)):
      x = nn.Conv(self.width, kernel, dtype=dtype)(x)
      return nn.BatchNorm(use_running_average=not train, dtype=dtype)(x)
  """


def test_dtype_that_the_call_gives_to_layers_is_an_argument_of_the_constructor_too(tmp_path):
  source = (
    _CAST
    + """
  class Model(nn.Module):
    def setup(self):
      self.first = Block(5)
      self.second = Block()

    def __call__(self, x, dtype=jnp.float32):
      return self.second(self.first(x, False, dtype), kernel=(1, 1))
  """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4, 4, 3)", held_out=["Model(), x(2, 3, 3, 2)"], clean=False)
  assert "self.first = Block(in_features, 5, dtype=dtype, rngs=rngs)" in ported.text
  assert "self.second = Block(5, kernel=(1, 1), rngs=rngs)" in ported.text
  assert "def __call__(self, x, train=False, dtype: Any = jnp.float32, kernel=(3, 3)):" in ported.text
  assert ported.hoisted == []
  told = [str(f) for f in ported.findings if f.rule == "L2N123"]
  assert sorted(f.partition("`")[2].partition("`")[0] for f in told) == ["dtype", "kernel"]  # Model reads its own


def test_sizes_that_the_call_gives(tmp_path):
  source = """
  class Mlp(nn.Module):
    @nn.compact
    def __call__(self, x, widths=(5, 7), outputs=3):
      for width in widths:
        x = nn.tanh(nn.Dense(width)(x))
      scale = self.param("scale", nn.initializers.ones, (outputs * 2,))
      return nn.Dense(outputs * 2)(x) * scale

  class Model(nn.Module):
    hidden: Sequence[int] = (4, 6)

    @nn.compact
    def __call__(self, x):
      return Mlp()(Mlp(name="first")(x, self.hidden), outputs=2)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model((3, 2, 8)), x(2, 4)"], clean=False)
  assert "self.first = Mlp(in_features, widths=self.hidden, rngs=rngs)" in ported.text
  assert "for width in widths:" in ported.text
  assert ported.hoisted == []


def test_flags_of_the_call_stay_with_the_call(tmp_path):
  source = """
  class Model(nn.Module):
    @nn.compact
    def __call__(self, x, train=False, scale=2):
      x = nn.Dense(4)(x) * scale
      return nn.Dropout(0.5)(x, deterministic=not train)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "def __init__(self, in_features: int, *, rngs: nnx.Rngs):" in ported.text
  assert not [f for f in ported.findings if f.rule == "L2N123"]


def test_argument_that_differs_between_the_calls_of_a_module_is_refused(tmp_path):
  source = """
  class Noise(nn.Module):
    @nn.compact
    def __call__(self, x, rate=0.0):
      return nn.Dropout(rate, deterministic=True)(nn.Dense(4)(x))

  class Model(nn.Module):
    def setup(self):
      self.noise = Noise()

    def __call__(self, x):
      return self.noise(x, 0.1) + self.noise(x, 0.2)
  """
  found = [str(f) for f in rewrite(tmp_path, source, "Model(), x(2, 5)").findings]
  assert any("`rate` differs between the calls of one module: 0.1, then 0.2" in f for f in found)
