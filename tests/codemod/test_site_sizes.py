"""Sizes of layers: from the data flow, from the caller, and those that become constructor arguments."""

from __future__ import annotations

from migrate.codemod.guesses import differ
from tests.codemod.support import port_and_check

SKIPS = """
class Block(nn.Module):
  features: int
  kernel: int = 1

  @nn.compact
  def __call__(self, x):
    return nn.relu(nn.Conv(self.features, (self.kernel,))(x))


class Skip(nn.Module):
  block: Any = Block

  @nn.compact
  def __call__(self, x, shape):
    if x.shape != shape:
      x = self.block(shape[-1])(x)
    return x


class Residual(nn.Module):
  features: int

  @nn.compact
  def __call__(self, x):
    y = Block(self.features, 3)(x)
    return y + Skip()(x, y.shape)


class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    return Residual(7)(Residual(7)(x))
"""


def test_size_that_only_a_call_knows_is_an_argument_where_the_class_needs_it_to_make_a_layer(tmp_path):
  ported = port_and_check(tmp_path, SKIPS, "Model(), x(2, 5, 3)", held_out=["Model(), x(2, 6, 5)"])
  assert "def __init__(self, in_features: int, features: int, kernel: int = 1, *, rngs: nnx.Rngs):" in ported.text
  assert "block_1_features: int | None = None" in ported.text


def test_layer_that_some_instances_make_without_a_size_is_made_all_the_same(tmp_path):
  ported = port_and_check(tmp_path, SKIPS, "Model(), x(2, 5, 3)", held_out=["Model(), x(2, 6, 5)"])
  assert "    self.skip = Skip(in_features, block_1_features=skip_block_1_features, rngs=rngs)" in ported.text


def test_field_that_is_an_array_of_the_call_goes_to_the_call(tmp_path):
  source = """
    class Decoder(nn.Module):
      start: Any
      width: int

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(x) + self.start


    class Model(nn.Module):
      width: int = 7

      @nn.compact
      def __call__(self, x):
        start = nn.Dense(self.width)(x).mean(axis=0)
        return Decoder(start=start, width=self.width)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3), x(4, 6)"])
  assert "return self.decoder(x, start=start)" in ported.text
  assert "self.start" not in ported.text


def test_width_read_off_a_carry_is_one_argument_for_all_that_need_it(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, state, x):
        width = state[0].shape[-1]
        state, y = nn.LSTMCell(width)(state, x)
        return nn.Dense(3)(y)
    """
  ported = port_and_check(tmp_path, source, "Model(), (x(2, 5), x(2, 5)), x(2, 7)")
  assert ported.hoisted == ["lstm_cell_features"]
  assert "nnx.Linear(lstm_cell_features, 3, rngs=rngs)" in ported.text
  assert "width" not in ported.text


def test_layers_where_no_example_comes_take_arguments(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      norm: bool = False
      extra: bool = False

      @nn.compact
      def __call__(self, x, y=None):
        x = nn.Dense(7)(x)
        if self.norm:
          x = nn.LayerNorm(dtype=x.dtype)(x)
        if self.extra:
          width = int(y.max())
          x = nn.Dense(width)(x)
          x = (x * self.param("scale", nn.initializers.ones, (width,)))[:, :width]
        return x
    """,
    "Model(), x(2, 5)",
  )
  assert "dense_1_features: int | None = None" in ported.text
  assert "scale_value: int | None = None" in ported.text
  assert "nnx.LayerNorm(7, dtype=jnp.float32, rngs=rngs)" in ported.text


def test_value_of_a_call_that_construction_needs_is_hoisted(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Adapter(nn.Module):
      equation: str
      shape: tuple

      def setup(self):
        self.inputs = self.equation.split(",")[0]
        self.w = self.param("w", nn.initializers.normal(), self.shape)

      def __call__(self, x):
        return jnp.einsum(self.equation, x, self.w) * len(self.inputs)

    class Scale(nn.Module):
      by: float

      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(x) * self.by

    class Model(nn.Module):
      equation: str | None = None

      @nn.compact
      def __call__(self, x, equation=None, by=2.0):
        return Scale(by)(Adapter(equation or self.equation, (5, 7))(x))
    """,
    "Model(), x(2, 5), 'bi,ij->bj'",
  )
  assert "Adapter(adapter_equation, (5, 7), rngs=rngs)" in ported.text
  assert "adapter_equation" in ported.hoisted
  assert "self.scale(self.adapter(x), by=by)" in ported.text  # what construction does not need stays in the call


def test_width_in_an_argument_after_a_branch_that_no_example_takes(tmp_path):
  source = """
    class MLP(nn.Module):
      sizes: Sequence[int]

      @nn.compact
      def __call__(self, x):
        for size in self.sizes:
          x = nn.Dense(size)(x)
        return x


    class Model(nn.Module):
      hidden_dim: int = 6

      @nn.compact
      def __call__(self, x, more=None):
        x = nn.Dense(self.hidden_dim)(x)
        x = getattr(jnp, "mean")(x, axis=0)
        if more is not None:
          x = jnp.concatenate([x, more])
        return MLP([4 * x.shape[-1]] + [3])(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(11), x(2, 4)"])
  assert "4 * self.hidden_dim" in ported.text
  assert ported.hoisted == []


def test_sizes_may_be_lists():
  assert not differ([[64, 2], [64, 2]])
  assert differ([[64, 2], [64, 3]])
  assert not differ([])


def test_multiple_that_the_class_does_not_name_is_no_size(tmp_path):
  source = """
    def tripled(x):
      return jnp.tile(x, 3)


    class Model(nn.Module):
      features: int

      @nn.compact
      def __call__(self, x):
        x = tripled(nn.Dense(self.features)(x))
        return nn.Dense(5)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(7), x(2, 4)", held_out=["Model(6), x(2, 8)"])
  assert "3 * self.features" not in ported.text


def test_width_that_a_reshape_names_is_plainer_than_its_parts(tmp_path):
  source = """
    class Attention(nn.Module):
      width: int
      heads: int

      def setup(self):
        self.qkv = nn.Dense(3 * self.width)
        self.out = nn.Dense(self.width)

      def __call__(self, x):
        batch, length, width = x.shape
        q, k, v = jnp.array_split(self.qkv(x).reshape(batch, length, self.heads, -1), 3, axis=-1)
        values = (nn.softmax(q * k) * v).reshape(batch, length, width)
        return self.out(values)
    """
  ported = port_and_check(tmp_path, source, "Attention(8, 2), x(3, 5, 8)", held_out=["Attention(12, 3), x(3, 5, 12)"])
  assert "self.out = nnx.Linear(in_features, self.width, rngs=rngs)" in ported.text
