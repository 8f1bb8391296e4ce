"""Calls in methods: layers by their attributes, Linen's services by NNX's, everything else as it was."""

from __future__ import annotations

import pytest

from migrate.codemod.names import snake
from tests.codemod.support import port_and_check, rewrite

TRAIN = "Example({model}, ({args}, False), calls=(Call(({args}, True), rngs=('dropout',), mutable=['batch_stats']),))"


@pytest.mark.parametrize(
  ("given", "wanted"),
  [
    ("MlpBlock", "mlp_block"),
    ("BatchNorm", "batch_norm"),
    ("LSTMCell", "lstm_cell"),
    ("Dense", "dense"),
    ("x", "x"),
    ("Conv1DBlock", "conv1d_block"),
    ("UNet3D", "u_net3d"),
    ("ResNet2Dense", "res_net2_dense"),
  ],
)
def test_class_names_become_attribute_names(given, wanted):
  assert snake(given) == wanted


FLAGS = {
  "dropout, flag in the constructor": (
    "nn.Dropout(0.3, deterministic=not train)(x)",
    "self.dropout(x, deterministic=not train)",
  ),
  "dropout, flag at the call": (
    "nn.Dropout(0.3)(x, deterministic=not train)",
    "self.dropout(x, deterministic=not train)",
  ),
  "dropout, flag by position": ("nn.Dropout(0.3)(x, not train)", "self.dropout(x, deterministic=not train)"),
  "batch norm, flag in the constructor": (
    "nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)",
    "self.batch_norm(x, use_running_average=not train)",
  ),
  "batch norm, flag at the call": (
    "nn.BatchNorm(momentum=0.9)(x, use_running_average=not train)",
    "self.batch_norm(x, use_running_average=not train)",
  ),
}


@pytest.mark.parametrize("name", FLAGS)
def test_train_flags_stay_arguments(tmp_path, name):
  linen, nnx = FLAGS[name]
  source = f"""
class Model(nn.Module):
  @nn.compact
  def __call__(self, x, train: bool):
    x = nn.Dense(7)(x)
    x = {linen}
    return nn.Dense(3)(x)
"""
  ported = port_and_check(
    tmp_path, source, TRAIN.format(model="Model()", args="x(2, 5)"), held_out=["Model(), x(3, 2), False"]
  )
  assert nnx in ported.text


def test_flag_that_is_a_field(tmp_path):
  source = """
    class Model(nn.Module):
      train: bool = False

      @nn.compact
      def __call__(self, x):
        x = nn.BatchNorm(use_running_average=not self.train)(nn.Dense(7)(x))
        return nn.Dropout(0.5, deterministic=not self.train)(x)
    """
  call = "Example(Model(True), (x(4, 5),), rngs=('dropout',), mutable=['batch_stats'])"
  port_and_check(tmp_path, source, call, "Model(), x(4, 5)")


def test_flag_handed_down_through_a_constructor(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Block(nn.Module):
      rate: float
      deterministic: bool

      @nn.compact
      def __call__(self, x):
        return nn.Dropout(self.rate)(nn.Dense(7)(x), deterministic=self.deterministic)

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, train: bool):
        return Block(0.5, deterministic=not train)(x)
    """,
    TRAIN.format(model="Model()", args="x(2, 5)"),
  )
  assert "deterministic=not train" in ported.text.partition("class Model")[2]


def test_attention_with_masks(tmp_path):
  source = """
    class Model(nn.Module):
      heads: int = 2

      @nn.compact
      def __call__(self, x, lengths, train: bool = False):
        mask = nn.make_causal_mask(lengths)
        mask = nn.combine_masks(mask, nn.make_attention_mask(lengths > 0, lengths > 0))
        y = nn.MultiHeadDotProductAttention(num_heads=self.heads, dropout_rate=0.1)(
          x, mask=mask, deterministic=not train
        )
        return x + y
    """
  port_and_check(tmp_path, source, "Model(), x(2, 3, 6), ids(2, 3)", held_out=["Model(4), x(2, 5, 8), ids(2, 5)"])


def test_attention_with_separate_keys_and_values(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, memory):
        return nn.MultiHeadDotProductAttention(2, qkv_features=6, out_features=5)(x, memory, memory)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 3, 5), x(2, 7, 11)", held_out=["Model(), x(2, 4, 7), x(2, 2, 3)"])


def test_activations_and_pooling_by_what_they_resolve_to(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      act: Callable = nn.gelu

      @nn.compact
      def __call__(self, x):
        x = self.act(nn.Conv(5, (3, 3))(x))
        x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = nn.avg_pool(nn.swish(x), (2, 2))
        return nn.log_softmax(nn.leaky_relu(x.reshape((x.shape[0], -1)), 0.1))
    """,
    "Model(), x(2, 6, 6, 3)",
    "Model(nn.relu), x(2, 6, 6, 3)",
  )
  assert "act: Callable = nnx.gelu" in ported.text
  assert "nnx.max_pool(x, (2, 2), strides=(2, 2))" in ported.text


def test_carry_of_a_cell_is_initialized(tmp_path):
  source = """
    class Model(nn.Module):
      hidden: int = 7

      @nn.compact
      def __call__(self, x):
        cell = nn.GRUCell(features=self.hidden)
        carry = cell.initialize_carry(jax.random.key(0), x[:, 0].shape)
        outputs = []
        for i in range(3):
          carry, y = cell(carry, x[:, i])
          outputs.append(y)
        return jnp.stack(outputs, axis=1)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 3, 5)", held_out=["Model(11), x(3, 3, 2)"])


def test_tied_embedding_attends(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, ids):
        embed = nn.Embed(11, 5)
        return embed.attend(nn.Dense(5)(embed(ids)))
    """,
    "Model(), ids(2, 3)",
  )
  assert "self.embed.attend(" in ported.text


def test_layout_and_comments_of_a_call_survive(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(
          # what goes in
          x * 2,  # doubled
        )
    """,
    "Model(), x(2, 5)",
  )
  assert "    return self.dense(\n      # what goes in\n      x * 2,  # doubled\n    )\n" in ported.text


def test_calls_of_other_objects_are_left_alone(tmp_path):
  body = """    y = x.reshape(x.shape[0], -1).astype(jnp.float32)
    y = jax.nn.relu(y).sum(axis=-1, keepdims=True)
    y = jax.vmap(lambda v: v * 2)(y)
    y = jnp.where(y > 0, y, -y).at[0].set(1.0)
"""
  source = f"class Model(nn.Module):\n  @nn.compact\n  def __call__(self, x):\n{body}    return nn.Dense(3)(y)\n"
  assert body in rewrite(tmp_path, source, "Model(), x(2, 5)").text


def test_layers_of_setup_in_a_branch_that_no_example_takes_are_told_their_sizes(tmp_path):
  source = """
    class Model(nn.Module):
      normed: bool = False

      def setup(self):
        self.dense = nn.Dense(4)
        if self.normed:
          self.norm = nn.LayerNorm()

      def __call__(self, x):
        y = x
        if self.normed:
          y = self.norm(y)
        return self.dense(y)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(normed=True), x(2, 5)"])
  assert "self.norm = nnx.LayerNorm(in_features, rngs=rngs)" in ported.text
  assert ported.hoisted == []
