"""Sizes: data flow, then fields and configs, then a hoisted argument; and never a coincidence."""

from __future__ import annotations

import pytest

from migrate.codemod.sizes_pool import closed
from tests.codemod.support import port_and_check

FLOW = """
class Model(nn.Module):
  width: int = 6

  @nn.compact
  def __call__(self, x):
    {line}
    return nn.Dense(3)(y)
"""


@pytest.mark.parametrize(
  ("line", "shape", "other"),
  [
    ("y = x * 2 + 1", "2, 5", "3, 7"),
    ("y = nn.Dense(self.width)(x)", "2, 5", "3, 7"),
    ("y = jnp.concatenate([x, nn.Dense(self.width)(x)], axis=-1)", "2, 5", "3, 7"),
    ("y = jnp.concatenate([x, x, x], -1)", "2, 5", "2, 7"),
    ("y = jnp.concatenate([x, jnp.ones((x.shape[0], 2))], -1)", "2, 5", "3, 7"),
    ("y = x.reshape(x.shape[0], -1)", "2, 3, 5", "5, 3, 7"),
    ("y = x.reshape((x.shape[0], -1))", "5, 4, 4, 3", "7, 2, 6, 5"),
    ("y = x.mean(axis=(1, 2))", "2, 4, 4, 3", "2, 2, 6, 5"),
    ("y = jnp.swapaxes(x, 1, 2)", "2, 3, 5", "2, 2, 7"),
    ("y = x.transpose(0, 2, 1)", "2, 3, 5", "2, 2, 7"),
    ("y = jnp.einsum('bld->bdl', x)", "2, 3, 5", "2, 2, 7"),
    ("y = x[:, 0]", "2, 3, 5", "2, 2, 7"),
    ("y = x[..., None] * jnp.ones((self.width,))", "2, 5", "3, 7"),
    ("y, _ = jnp.split(nn.Dense(2 * self.width)(x), 2, axis=-1)", "2, 5", "3, 7"),
    ("y = jnp.split(nn.Dense(2 * self.width)(x), 2, axis=-1)[0]", "2, 5", "3, 7"),
    ("y = jnp.pad(x, ((0, 0), (1, 1)))", "2, 5", "3, 7"),
    ("y = jax.nn.one_hot(jnp.argmax(x, -1), self.width)", "2, 5", "3, 7"),
    ("y = jnp.tile(x, (1, 2))", "7, 5", "11, 7"),
    ("y = nn.relu(nn.Conv(self.width, (3, 3))(x)).mean((1, 2))", "2, 4, 4, 3", "2, 2, 6, 5"),
    ("y = nn.max_pool(x, (2, 2), (2, 2)).reshape((x.shape[0], -1))", "2, 4, 4, 3", "2, 4, 4, 5"),
    ("y = x.reshape(x.shape[0], 2, -1)", "2, 6", "3, 10"),
    ("y = nn.Dense(x.shape[-1] * 2)(x)", "2, 5", "3, 7"),
    ("y = nn.Dense(x.shape[-1])(nn.Dense(self.width)(x)) + x", "2, 5", "3, 7"),
    ("y = (lambda v: v[:, :3])(x)", "2, 5", "2, 7"),
  ],
)
def test_size_after_every_sort_of_reshaping(tmp_path, line, shape, other):
  port_and_check(tmp_path, FLOW.format(line=line), f"Model(), x({shape})", held_out=[f"Model(), x({other})"])


def test_input_sizes_are_the_only_arguments_where_data_flows(tmp_path):
  ported = port_and_check(tmp_path, FLOW.format(line="y = nn.Dense(self.width)(x) + 1"), "Model(), x(2, 5)")
  assert ported.sizes("Model") == ["in_features"]
  assert ported.hoisted == []


def test_coinciding_field_is_not_taken_for_the_input_s_size(tmp_path):
  # hidden equals the input's features by chance: the held-out example tells
  source = """
    class Model(nn.Module):
      hidden: int = 5

      @nn.compact
      def __call__(self, x):
        y = nn.Dense(3)(x)
        return nn.Dense(self.hidden)(y)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(7), x(2, 11)"])


def test_coinciding_batch_is_not_taken_for_a_feature_size(tmp_path):
  port_and_check(
    tmp_path, FLOW.format(line="y = nn.relu(nn.Dense(5)(x))"), "Model(), x(5, 5)", held_out=["Model(), x(2, 3)"]
  )


@pytest.mark.parametrize(
  ("line", "shape", "other"),
  [
    ("y = jnp.tile(x, (1, 2))", "2, 5", "3, 7"),
    ("y = x[:, :3]", "3, 5", "2, 7"),
    ("y = jnp.concatenate([x, x, x], -1)", "3, 5", "2, 7"),
  ],
)
def test_batch_axis_is_no_size(tmp_path, line, shape, other):
  port_and_check(tmp_path, FLOW.format(line=line), f"Model(), x({shape})", held_out=[f"Model(), x({other})"])


def test_length_of_two_is_not_a_sum_with_itself(tmp_path):
  line = "y = x.reshape(x.shape[0], -1)"
  port_and_check(tmp_path, FLOW.format(line=line), "Model(), x(5, 2, 7)", held_out=["Model(), x(2, 3, 5)"])


def test_two_examples_settle_what_one_leaves_open(tmp_path):
  source = """
    class Model(nn.Module):
      hidden_dim: int = 5
      out: int = 3

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.out)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", "Model(7), x(2, 11)")
  assert ported.sizes("Model") == ["in_features"]


def test_several_inputs_have_names_of_their_own(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, context):
        return nn.Dense(3)(x) + nn.Dense(3)(context)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5), x(2, 7)", held_out=["Model(), x(2, 2), x(2, 3)"])
  assert ported.sizes("Model") == ["in_features", "context_features"]


def test_input_in_a_dictionary(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, batch):
        return nn.Dense(3)(batch["image"].reshape(batch["image"].shape[0], -1)) + nn.Embed(7, 3)(batch["label"])
    """
  example = "Model(), {'image': x(2, %d, %d), 'label': ids(2)}"
  port_and_check(tmp_path, source, example % (3, 5), held_out=[example % (5, 7)])


def test_input_in_a_tuple(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, inputs):
        a, b = inputs
        return nn.Dense(3)(a) + nn.Dense(3)(b)
    """
  port_and_check(tmp_path, source, "Model(), (x(2, 5), x(2, 7))", held_out=["Model(), (x(2, 3), x(2, 2))"])


def test_optional_input(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, extra=None):
        y = nn.Dense(7)(x)
        if extra is not None:
          y = y + nn.Dense(7)(extra)
        return y
    """
  port_and_check(tmp_path, source, "Example(Model(), (x(2, 5), x(2, 3)), calls=(Call((x(2, 5),)),))")


def test_class_used_at_two_sizes(tmp_path):
  source = """
    class Head(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(nn.LayerNorm()(x))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Head()(x) + Head()(nn.Dense(11)(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 7)"])
  assert ported.hoisted == []


def test_what_a_class_returns_has_a_size_its_maker_knows(tmp_path):
  source = """
    class Encoder(nn.Module):
      latent: int = 3

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.latent)(x), nn.Dense(self.latent * 2)(x)

    class Model(nn.Module):
      latent: int = 3

      @nn.compact
      def __call__(self, x):
        mean, other = Encoder(self.latent)(x)
        return nn.Dense(x.shape[-1])(mean) + nn.Dense(x.shape[-1])(other)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(7), x(2, 11)"])


@pytest.mark.parametrize(
  ("text", "wanted"),
  [("self.width * 2", True), ("SIZE__x__1", True), ("SIZE__x__1 + n", False), ("4", True), ("y", False)],
)
def test_closed_expressions_read_fields_and_sizes(text, wanted):
  assert closed(text) is wanted


def test_sum_with_the_features_of_a_layer_is_not_hoisted(tmp_path):
  line = "y = jnp.concatenate([x, nn.Dense(6)(x)], axis=-1)"
  assert port_and_check(tmp_path, FLOW.format(line=line), "Model(), x(2, 13)").hoisted == []


def test_batch_that_equals_a_sum_is_no_size(tmp_path):
  line = "y = jnp.concatenate([x, nn.Dense(6)(x)], axis=-1)"
  port_and_check(tmp_path, FLOW.format(line=line), "Model(), x(11, 5)", held_out=["Model(), x(2, 13)"])


def test_features_of_a_layer_go_before_a_coinciding_input(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 6

      @nn.compact
      def __call__(self, x):
        x = nn.Dense(6)(x)
        x = nn.Dense(self.width)(x)
        return nn.Dense(3)(x)
    """
  port_and_check(tmp_path, source, "Model(), x(97, 5)", held_out=["Model(7), x(2, 13)"])


def test_features_of_a_layer_go_before_twice_its_input(tmp_path):
  line = "y = nn.Conv(10, (1,))(x[:, None])[:, 0]"
  port_and_check(tmp_path, FLOW.format(line=line), "Model(), x(97, 5)", held_out=["Model(), x(2, 13)"])


def test_axes_of_a_shape_that_is_unpacked_are_its_items(tmp_path):
  source = """
    class Model(nn.Module):
      shape: Sequence[int]

      @nn.compact
      def __call__(self, x):
        shape = self.shape
        image = x.reshape((x.shape[0], *shape))
        return nn.Conv(4, (2, 2))(image)
  """
  ported = port_and_check(tmp_path, source, "Model((2, 3, 5)), x(2, 30)", held_out=["Model((4, 3, 7)), x(1, 84)"])
  assert ported.hoisted == []
  assert "nnx.Conv(shape[-1], 4, (2, 2), rngs=rngs)" in ported.text


def test_what_is_popped_for_a_layer_is_popped_before_the_layer_is_made(tmp_path):
  source = """
    class Model(nn.Module):
      width: int
      factors: Sequence[int]

      @nn.compact
      def __call__(self, x):
        skips = [nn.Dense(self.width)(x)]
        for factor in self.factors:
          skips.append(nn.Dense(self.width * factor)(skips[-1]))
        h = skips[-1]
        for factor in reversed(self.factors):
          h = nn.Dense(self.width * factor)(jnp.concatenate([h, skips.pop()], axis=-1))
        return h + skips.pop().sum()
  """
  ported = port_and_check(tmp_path, source, "Model(4, (1, 2, 3)), x(2, 5)", held_out=["Model(3, (2, 5)), x(1, 7)"])
  assert ported.hoisted == []
  assert "skips_features = skips.pop()" in ported.text
  assert "h_features + skips_features," in ported.text


SKIPS = """
class Block(nn.Module):
  out: int | None = None

  @nn.compact
  def __call__(self, x):
    out = x.shape[-1] if self.out is None else self.out
    y = nn.Dense(out)(x)
    return y, y.mean()

class Model(nn.Module):
  width: int = 6
  depth: int = 2

  @nn.compact
  def __call__(self, x):
    x = nn.Dense(self.width)(x)
    skips = [x]
    for i in range(self.depth):
      block = Block(self.width, name=f"down_{i}")
      x = block(skips[-1])[0]
      skips.append(x)
    x = skips[-1]
    x = Block(name="middle")(x)[0]
    for i in range(self.depth + 1):
      x = Block(self.width, name=f"up_{i}")(jnp.concatenate([x, skips.pop()], axis=-1))[0]
    return nn.Dense(3)(x)
"""


def test_list_that_was_emptied_tells_no_size_any_more(tmp_path):
  ported = port_and_check(tmp_path, SKIPS, "Model(), x(2, 5)", held_out=["Model(4, 3), x(2, 7)"])
  assert ported.hoisted == []
  assert "skips.append(self.width)" in ported.text


def test_list_that_only_some_rounds_append_to_still_tells_sizes(tmp_path):
  source = """
    class Model(nn.Module):
      widths: tuple = (4, 6, 8)

      @nn.compact
      def __call__(self, x):
        skips = []
        for i, width in enumerate(self.widths):
          x = nn.Dense(width)(x)
          if i != 0:
            skips.append(x)
        for width, skip in reversed(list(zip(self.widths[:-1], skips, strict=False))):
          x = nn.Dense(width)(jnp.concatenate([x, skip], axis=-1))
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model((3, 5, 7, 9)), x(2, 6)"])
  assert ported.hoisted == []


CONFIG_DICT = """
class Config:
  def __init__(self, **given):
    object.__setattr__(self, "_fields", given)

  def keys(self):
    return self._fields.keys()

  def items(self):
    return self._fields.items()

  def __getattr__(self, name):
    if name.startswith("_") or name not in self._fields:
      raise AttributeError(name)
    return self._fields[name]

class Model(nn.Module):
  config: Config

  @nn.compact
  def __call__(self, batch):
    return nn.Dense(3)(jnp.tanh(batch["x"][..., ::2]))
"""


def test_number_of_a_config_that_keeps_its_items_elsewhere(tmp_path):
  example = "Model(Config(d_model={0}, layers=3)), {{'x': x(2, {1})}}"
  ported = port_and_check(tmp_path, CONFIG_DICT, example.format(5, 10), held_out=[example.format(7, 14)])
  assert "nnx.Linear(self.config.d_model, 3, rngs=rngs)" in ported.text


def test_shape_with_a_name_ends_in_a_field(tmp_path):
  source = """
    class Conv(nn.Module):
      features: int
      kernel_size: Any = (3,)

      @nn.compact
      def __call__(self, x):
        kernel_shape = self.kernel_size + (x.shape[-1], self.features)
        kernel = jnp.asarray(self.param("kernel", nn.initializers.lecun_normal(), kernel_shape), x.dtype)
        return jax.lax.conv_general_dilated(x, kernel, (1,), "SAME", dimension_numbers=("NHC", "HIO", "NHC"))

    class Model(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        def block(x, features):
          return nn.BatchNorm(use_running_average=True)(Conv(features)(x))

        return block(block(x, self.width), self.width * 2)
    """
  ported = port_and_check(tmp_path, source, "Model(7), x(2, 11, 5)", held_out=["Model(3), x(2, 4, 2)"])
  assert "nnx.BatchNorm(self.width * 2, use_running_average=True, rngs=rngs)" in ported.text
  assert "kernel.shape" not in ported.text


def test_shape_that_gets_another_value_is_measured(tmp_path):
  source = """
    class Conv(nn.Module):
      features: int
      double: bool = False

      @nn.compact
      def __call__(self, x):
        shape = (x.shape[-1], self.features)
        if self.double:
          shape = (x.shape[-1], 2 * self.features)
        return x @ self.param("kernel", nn.initializers.lecun_normal(), shape)

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(2)(Conv(3, double=True)(Conv(7)(x)))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 4)"])
