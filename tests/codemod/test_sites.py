"""Construction sites: which layer, which arguments, which sizes, under which attribute."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

DENSE = """
class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    {line}
    return x
"""


@pytest.mark.parametrize(
  ("line", "made"),
  [
    ("x = nn.Dense(7)(x)", "self.dense = nnx.Linear(in_features, 7, rngs=rngs)"),
    ("x = nn.Dense(features=7)(x)", "self.dense = nnx.Linear(in_features, out_features=7, rngs=rngs)"),
    ('x = nn.Dense(7, name="head")(x)', "self.head = nnx.Linear(in_features, 7, rngs=rngs)"),
    ("x = nn.Dense(7, use_bias=False)(x)", "self.dense = nnx.Linear(in_features, 7, use_bias=False, rngs=rngs)"),
    ("x = nn.Dense(7, False)(x)", "self.dense = nnx.Linear(in_features, 7, use_bias=False, rngs=rngs)"),
    ("x = nn.Dense(7, dtype=jnp.float32)(x)", "self.dense = nnx.Linear(in_features, 7, dtype=jnp.float32, rngs=rngs)"),
    (
      "x = nn.Dense(7, kernel_init=nn.initializers.normal(0.02))(x)",
      "self.dense = nnx.Linear(in_features, 7, kernel_init=nnx.initializers.normal(0.02), rngs=rngs)",
    ),
    ("x = nn.LayerNorm(epsilon=1e-3)(x)", "self.layer_norm = nnx.LayerNorm(in_features, epsilon=1e-3, rngs=rngs)"),
    ("x = nn.RMSNorm()(x)", "self.rms_norm = nnx.RMSNorm(in_features, rngs=rngs)"),
  ],
)
def test_arguments_get_the_names_that_nnx_has(tmp_path, line, made):
  ported = port_and_check(tmp_path, DENSE.format(line=line), "Model(), x(2, 5)", held_out=["Model(), x(3, 11)"])
  assert made in ported.text


@pytest.mark.parametrize(
  ("layer", "shape"),
  [
    ("nn.Conv(7, (3, 3))", "2, 6, 6, 3"),
    ("nn.Conv(7, (3,), strides=2, padding='VALID')", "2, 9, 3"),
    ("nn.Conv(6, (3, 3), feature_group_count=3, use_bias=False)", "2, 6, 6, 3"),
    ("nn.Conv(7, kernel_size=(3, 3), kernel_dilation=(2, 2))", "2, 6, 6, 3"),
    ("nn.ConvTranspose(7, (3, 3), strides=(2, 2))", "2, 4, 4, 3"),
    ("nn.GroupNorm(num_groups=3)", "2, 4, 4, 6"),
    ("nn.BatchNorm(use_running_average=True)", "2, 4, 4, 6"),
    ("nn.InstanceNorm()", "2, 4, 4, 6"),
    ("nn.DenseGeneral((2, 3))", "2, 5"),
    ("nn.DenseGeneral(7, axis=(-2, -1))", "2, 3, 5"),
    ("nn.Einsum((5, 7), 'ab,bc->ac')", "2, 5"),
    ("nn.PReLU()", "2, 5"),
    ("nn.Sequential([nn.Dense(7), nn.relu, nn.Dense(3)])", "2, 5"),
    ("nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=6)", "2, 3, 5"),
    ("nn.SelfAttention(num_heads=2, qkv_features=6, out_features=4)", "2, 3, 5"),
    ("nn.RNN(nn.OptimizedLSTMCell(7))", "2, 3, 5"),
    ("nn.RNN(nn.LSTMCell(features=7))", "2, 3, 5"),
    ("nn.RNN(nn.GRUCell(features=7), reverse=True, keep_order=True)", "2, 3, 5"),
    ("nn.RNN(nn.MGUCell(features=7))", "2, 3, 5"),
    ("nn.RNN(nn.SimpleCell(features=7))", "2, 3, 5"),
    ("nn.Bidirectional(nn.RNN(nn.GRUCell(7)), nn.RNN(nn.GRUCell(7)))", "2, 3, 5"),
    ("nn.ConvLocal(7, (3,))", "2, 6, 3"),
  ],
)
def test_every_layer_agrees(tmp_path, layer, shape):
  sizes = [str(int(s) + 2 if i in (0,) else int(s)) for i, s in enumerate(shape.split(", "))]
  port_and_check(
    tmp_path, DENSE.format(line=f"x = {layer}(x)"), f"Model(), x({shape})", held_out=[f"Model(), x({', '.join(sizes)})"]
  )


def test_embedding_of_fields(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      vocab: int = 11
      width: int = 5

      @nn.compact
      def __call__(self, ids):
        return nn.Dense(3)(nn.Embed(self.vocab, self.width)(ids))
    """,
    "Model(), ids(2, 7)",
    held_out=["Model(5, 13), ids(3, 2)"],
  )
  assert "self.dense = nnx.Linear(self.width, 3, rngs=rngs)" in ported.text
  assert ported.sizes("Model") == []


def test_name_that_is_a_formatted_string(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        for i in range(3):
          x = nn.Dense(5, name=f"fc_{i}")(x)
        return x
    """,
    "Model(), x(2, 5)",
  )
  assert ported.moves["params/fc_2/kernel"] == "fc/2/kernel"


def test_name_that_is_no_identifier(tmp_path):
  ported = port_and_check(tmp_path, DENSE.format(line='x = nn.Dense(7, name="a-b.c")(x)'), "Model(), x(2, 5)")
  assert ported.moves["params/a-b.c/kernel"].endswith("/kernel")


def test_name_that_is_taken_by_a_field_gets_another(tmp_path):
  source = """
class Model(nn.Module):
  dense: int = 7

  @nn.compact
  def __call__(self, x):
    return nn.Dense(self.dense)(x)
"""
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3), x(2, 2)"])
  assert "self.dense = dense" in ported.text


def test_outer_layer_takes_its_number_first(tmp_path):
  # Linen names at construction: the outer call of `f(g(x))` is made before g
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(nn.relu(nn.Dense(7)(x)))
    """,
    "Model(), x(2, 5)",
    held_out=["Model(), x(2, 11)"],
  )
  kernels = {p: s for p, s in ported.moves.items() if p.endswith("kernel")}
  assert set(kernels) == {"params/Dense_0/kernel", "params/Dense_1/kernel"}


def test_shared_layer_called_twice_is_made_once(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, y):
        shared = nn.Dense(7)
        return shared(x) - shared(y)
    """,
    "Model(), x(2, 5), x(2, 5)",
    held_out=["Model(), x(3, 2), x(3, 2)"],
  )
  assert ported.text.count("nnx.Linear(") == 1


def test_nested_project_modules_hand_sizes_down(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Mlp(nn.Module):
      hidden: int

      @nn.compact
      def __call__(self, x):
        y = nn.gelu(nn.Dense(self.hidden)(x))
        return nn.Dense(x.shape[-1])(y)

    class Block(nn.Module):
      hidden: int

      @nn.compact
      def __call__(self, x):
        return x + Mlp(self.hidden, name="mlp")(nn.LayerNorm()(x))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        for _ in range(2):
          x = Block(hidden=11)(x)
        return x
    """,
    "Model(), x(2, 3, 5)",
    held_out=["Model(), x(2, 3, 7)"],
  )
  assert ported.hoisted == []
  assert ported.sizes("Mlp") == ["in_features"]


def test_layer_passed_to_a_function(tmp_path):
  port_and_check(
    tmp_path,
    """
    def apply_twice(layer, x):
      return layer(layer(x))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return apply_twice(nn.Dense(5), x)
    """,
    "Model(), x(2, 5)",
  )


def test_module_made_by_another_module_s_argument(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Residual(nn.Module):
      inner: nn.Module

      @nn.compact
      def __call__(self, x):
        return x + self.inner(nn.LayerNorm()(x))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Residual(nn.Dense(5))(x)
    """,
    "Model(), x(2, 5)",
  )


def test_class_without_a_layer_keeps_its_fields(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Scale(nn.Module):
      factor: float = 2.0

      def __call__(self, x):
        return x * self.factor

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Scale(3.0)(nn.Dense(5)(x))
    """,
    "Model(), x(2, 5)",
  )
  assert "self.factor = factor" in ported.text


def test_calls_that_make_no_layer_are_left_alone(tmp_path):
  source = """
class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    y = jnp.maximum(x, 0)
    z = dict(a=y)["a"]
    return nn.Dense(3)(functools.reduce(jnp.add, [y, z]))
"""
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  assert '    y = jnp.maximum(x, 0)\n    z = dict(a=y)["a"]\n' in ported.text
  assert "functools.reduce(jnp.add, [y, z])" in ported.text


def test_comments_inside_a_constructor_survive(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(
          3,  # how many
          # as in the paper
          use_bias=False,
        )(x)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)")


def test_layer_that_is_made_before_its_input_grows(tmp_path):
  source = """
    class Trunk(nn.Module):
      depth: int = 4
      width: int = 6
      skips: tuple = (1, 3)

      @nn.compact
      def __call__(self, x):
        inputs = x
        for i in range(self.depth):
          layer = nn.Dense(self.width, name=f"hidden_{i}")
          if i in self.skips:
            x = jnp.concatenate([x, inputs], axis=-1)
          x = nn.relu(layer(x))
        head = nn.Dense(2)
        if self.depth > 2:
          x = jnp.concatenate([x, inputs], axis=-1)
        return head(x)
    """
  ported = port_and_check(tmp_path, source, "Trunk(), x(2, 5)", held_out=["Trunk(3, 4, (2,)), x(2, 7)"])
  assert ported.hoisted == []


def test_layer_whose_own_arguments_change_later_stays_where_it_is_made(tmp_path):
  source = """
    class Model(nn.Module):
      depth: int = 2

      @nn.compact
      def __call__(self, x):
        width = 4
        down = [nn.Dense(width)]
        for _ in range(self.depth):
          width *= 2
          down.append(nn.Dense(width))
        middle = nn.Dense(width * 2)
        up = []
        for _ in range(self.depth):
          up.append(nn.Dense(width))
          width //= 2
        for layer in down:
          x = layer(x)
        x = middle(x)
        for layer in up:
          x = layer(x)
        return x
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3), x(2, 6)"])


def test_a_layer_that_reads_another_is_made_after_it(tmp_path):
  source = """
    from jax import lax

    class Dense(nn.Module):
      features: int
      axis: Sequence[int] = (-1,)

      @nn.compact
      def __call__(self, x):
        axis = tuple(a % x.ndim for a in self.axis)
        shape = tuple(x.shape[a] for a in axis) + (self.features,)
        kernel = self.param("kernel", nn.initializers.normal(), shape)
        return lax.dot_general(x, kernel, ((axis, tuple(range(len(axis)))), ((), ())))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Dense(3)(nn.relu(Dense(7)(x)))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 4)"])
