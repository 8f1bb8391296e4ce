"""Lists that are filled for `nn.Sequential`."""

from __future__ import annotations

import pytest

from migrate.codemod.pipelines import first_inside
from tests.codemod.support import port_and_check, rewrite

MODEL = """
class Model(nn.Module):
  features: Sequence[int] = (7, 6)
  norm: bool = True

  @nn.compact
  def __call__(self, x):
    x = nn.Dense(5)(x)
{body}
    return nn.Dense(2)(x)
"""


def model(body: str) -> str:
  return MODEL.format(body="\n".join("    " + line for line in body.strip("\n").split("\n")))


@pytest.mark.parametrize(
  "body",
  [
    "layers = []\nfor f in self.features:\n  layers.append(nn.Dense(f))\n  layers.append(nn.relu)\nx = nn.Sequential(layers)(x)",
    "layers = [nn.LayerNorm()]\nfor f in self.features:\n  layers += [nn.Dense(f), nn.relu]\nx = nn.Sequential(layers)(x)",
    "layers = []\nfor f in self.features:\n  layers.extend([nn.Dense(f), nn.tanh])\nnet = nn.Sequential(layers)\nx = net(x)",
    "layers = []\nfor f in self.features:\n  layers.append(nn.Dense(f))\n  if self.norm:\n    layers.append(nn.LayerNorm())\nx = nn.Sequential(layers)(x)",
  ],
)
def test_sizes_go_from_layer_to_layer(tmp_path, body):
  ported = port_and_check(tmp_path, model(body), "Model(), x(2, 3)", held_out=["Model((4, 11, 9), False), x(2, 13)"])
  assert ported.hoisted == []
  assert "layers" not in ported.text.partition("def __call__")[2]


def test_list_that_is_also_called_stays_a_list(tmp_path):
  body = "layers = []\nfor f in self.features:\n  layers.append(nn.Dense(f))\nfor layer in layers:\n  x = layer(x)"
  ported = port_and_check(tmp_path, model(body), "Model(), x(2, 3)")
  assert "nnx.Sequential" not in ported.text


def test_list_of_arrays_is_no_list_of_layers(tmp_path):
  body = "parts = []\nfor f in self.features:\n  parts.append(x)\nx = jnp.concatenate(parts, -1)"
  assert "parts.append(x)" in rewrite(tmp_path, model(body), "Model(), x(2, 3)").text


def test_first_layer_of_nested_sequentials():
  from flax import linen as nn

  dense = nn.Dense(3, parent=None)
  inner = nn.Sequential([dense, nn.relu], parent=None)
  outer = nn.Sequential([inner, nn.relu], parent=None)
  assert first_inside(outer) is outer.layers[0].layers[0]
  assert first_inside(nn.Sequential([nn.relu], parent=None)) is None
  assert first_inside(dense) is None


def test_layer_that_a_condition_chooses_is_no_list(tmp_path):
  body = "layer = nn.Dense(6) if self.norm else nn.Dense(6, use_bias=False)\nx = layer(x)"
  ported = port_and_check(tmp_path, model(body), "Model(), x(2, 3)", "Model((7, 6), False), x(2, 4)")
  assert "nnx.List" not in ported.text


def test_layers_of_a_sequential_take_their_sizes_from_its_input_and_from_norms(tmp_path):
  source = """
    def embedding(t, dim):
      angles = t[:, None] * jnp.arange(dim // 2)
      return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)

    class Model(nn.Module):
      frequencies: int = 16
      hidden: int = 6

      def _time(self, times):
        times = embedding(times, self.frequencies)
        return nn.Sequential([nn.Dense(self.frequencies), nn.swish, nn.Dense(3)])(times)

      @nn.compact
      def __call__(self, x, times):
        g = nn.Sequential((nn.LayerNorm(), nn.Dense(self.hidden)))(x.reshape(x.shape[0], -1))
        return nn.Sequential([nn.Sequential([nn.Dense(2), nn.relu]), nn.Dense(1)])(g), self._time(times)
    """
  held_out = ["Model(8, 5), x(2, 3, 5), x(2)"]
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3, 4), x(2)", held_out=held_out)
  assert "nnx.Linear(length * in_features, self.hidden, rngs=rngs)" in ported.text
  assert ported.hoisted == []


CRITIC = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, state, action):
        network = nn.Sequential([nn.Dense(6), nn.relu, nn.Dense(1)])
        {between}
        return network({given}).squeeze(-1)
    """


@pytest.mark.parametrize(
  ("between", "given"),
  [("both = jnp.hstack([state, action])", "both"), ("pass", "jnp.concatenate([state, action], axis=-1)")],
  ids=["named", "in the call"],
)
def test_sequential_that_is_made_before_its_input(tmp_path, between, given):
  source = CRITIC.format(between=between, given=given)
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3), x(2, 4)", held_out=["Model(), x(2, 5), x(2, 7)"])
  assert "nnx.Linear(in_features + action_features, 6, rngs=rngs)" in ported.text
  assert ported.hoisted == []


def test_list_that_is_filled_before_its_input(tmp_path):
  source = """
    class Model(nn.Module):
      hidden: int = 6
      @nn.compact
      def __call__(self, state, action):
        layers = [nn.Dense(self.hidden), nn.relu]
        for _ in range(2):
          layers += [nn.Dense(self.hidden), nn.relu]
        network = nn.Sequential(layers)
        both = jnp.hstack([state, action])
        return network(both)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3), x(2, 4)", held_out=["Model(5), x(2, 5), x(2, 7)"])
  assert ported.hoisted == []


def test_input_that_changes_in_between_tells_nothing(tmp_path):
  source = CRITIC.format(between="state = jnp.tile(state, 2)\n        both = jnp.hstack([state, action])", given="both")
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3), x(2, 4)")
  assert "in_features + action_features" not in ported.text


def test_cells_that_a_function_hands_to_an_rnn_of_its_own(tmp_path):
  source = """
    class Model(nn.Module):
      widths: tuple = (11, 13)

      @nn.compact
      def __call__(self, x):
        def layer(x, width):
          cell = nn.OptimizedLSTMCell(width)
          carry = cell.initialize_carry(jax.random.key(0), x[:, 0].shape)
          rnn = nn.RNN(cell)
          return rnn(x, initial_carry=carry)

        def plain(x, width):
          rnn = nn.RNN(nn.GRUCell(width))
          return rnn(x)

        for width in self.widths:
          x = plain(layer(x, width), width + 1)
        return nn.Dense(3)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3, 5)", held_out=["Model((7, 5, 2)), x(2, 3, 4)"])
  assert "def __init__(self, in_features: int, widths: tuple = (11, 13), *, rngs: nnx.Rngs):" in ported.text


def test_a_cell_that_is_called_with_what_is_made_later(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        cell = nn.GRUCell(7)
        rnn = nn.RNN(cell)
        x = nn.Dense(5)(x)
        return rnn(x)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 3, 4)", held_out=["Model(), x(2, 3, 6)"])
