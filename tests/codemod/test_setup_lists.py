"""Lists of layers that `setup` fills, and what carries their sizes."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

MODEL = """
class Model(nn.Module):
  hidden: Sequence[int] = (7, 6)
  out: int = 3

  def setup(self):
{setup}

  def __call__(self, x):
{call}
"""


def model(setup: str, call: str) -> str:
  indented = ["\n".join("    " + line for line in text.strip("\n").split("\n")) for text in (setup, call)]
  return MODEL.format(setup=indented[0], call=indented[1])


@pytest.mark.parametrize(
  ("setup", "call"),
  [
    (
      "layers = []\nfor h in self.hidden:\n  layers.append(nn.Dense(h))\nself.layers = layers\nself.head = nn.Dense(self.out)",
      "for layer in self.layers:\n  x = nn.relu(layer(x))\nreturn self.head(x)",
    ),
    (
      "layers = []\nfor h in self.hidden:\n  layers.append(nn.Dense(h))\n  layers.append(nn.relu)\nself.net = nn.Sequential(layers)",
      "return self.net(x)",
    ),
    (
      "layers = []\nfor h in self.hidden:\n  layers.append(\n    nn.Dense(\n      h,\n    )\n  )\nself.layers = layers",
      "for layer in self.layers:\n  x = layer(x)\nreturn x",
    ),
    (
      "self.layers = [nn.Dense(h) for h in self.hidden]\nself.norms = [nn.LayerNorm() for _ in self.hidden]",
      "for layer, norm in zip(self.layers, self.norms):\n  x = norm(layer(x))\nreturn x",
    ),
  ],
)
def test_sizes_of_a_list_follow_from_its_fields(tmp_path, setup, call):
  ported = port_and_check(tmp_path, model(setup, call), "Model(), x(2, 5)", held_out=["Model((4, 11, 9)), x(2, 13)"])
  assert ported.hoisted == []


def test_layers_of_a_sequence_on_several_lines_have_lines_of_their_own(tmp_path):
  source = """
    class Project(nn.Module):
      features: int
      activation: Any = nn.relu

      @nn.compact
      def __call__(self, x):
        return self.activation(nn.Dense(self.features)(x))


    class Model(nn.Module):
      width: int = 7

      def setup(self):
        self.embed = nn.Sequential([
            Project(features=self.width, activation=nn.tanh),
            nn.Dense(self.width, use_bias=False, kernel_init=nn.initializers.normal(stddev=0.02), bias_init=nn.initializers.zeros),
            nn.relu,
        ])
        self.head = nn.Sequential([nn.Dense(3), nn.relu])

      def __call__(self, x):
        return self.head(self.embed(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(4), x(2, 3)"])
  assert """
    self.embed = nnx.Sequential(
        Project(in_features, features=self.width, activation=nnx.tanh, rngs=rngs),
        nnx.Linear(
            self.width,
            self.width,
            use_bias=False,
""" in ported.text.replace("\r", "")
  assert "self.head = nnx.Sequential(nnx.Linear(self.width, 3, rngs=rngs), nnx.relu)" in ported.text


def test_lists_that_a_loop_makes_take_their_sizes_one_by_one(tmp_path):
  source = """
    class Block(nn.Module):
      features: int

      @nn.compact
      def __call__(self, x):
        return nn.relu(nn.Dense(self.features)(x))


    class Model(nn.Module):
      widths: Sequence[int] = (6, 4)
      depths: Sequence[int] = (2, 3)

      def setup(self):
        stages = []
        for stage in range(len(self.widths)):
          stages.append([Block(self.widths[stage]) for _ in range(self.depths[stage])])
        self.stages = stages

      def __call__(self, x):
        for blocks in self.stages:
          x = jnp.concatenate([x, x], -1)
          for block in blocks:
            x = block(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 7)")
  assert ported.hoisted == ["stages_in_features"]


def test_parameters_of_a_tuple_keep_their_places(tmp_path):
  source = """
    class Model(nn.Module):
      n: int

      def setup(self):
        a, b = jnp.linspace(0.0, 1.0, self.n), jnp.ones(2 * self.n)
        self.pair = (self.param("a", lambda key: a), self.param("b", lambda key: b))

      def __call__(self, x):
        a, b = self.pair
        return x * a + b.sum()
  """
  ported = port_and_check(tmp_path, source, "Model(3), x(2, 3)")
  assert ported.moves == {"params/a": "pair/0", "params/b": "pair/1"}


def test_blocks_of_a_list_take_their_size_from_the_block_before(tmp_path):
  source = """
    class Block(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        return nn.relu(nn.Dense(self.width)(x))

    class Model(nn.Module):
      widths: tuple = (4, 6)
      times: int = 2

      def setup(self):
        widths = self.widths
        self.blocks = [Block(widths[i] * self.times) for i in range(len(widths))]

      @nn.compact
      def __call__(self, x, condition):
        for i in range(len(self.blocks)):
          x = self.blocks[i](x)
          x = x * nn.Dense(x.shape[-1])(condition)
        return x
    """
  ported = port_and_check(
    tmp_path, source, "Model(), x(2, 5), x(2, 3)", held_out=["Model((3, 5, 7), 3), x(2, 6), x(2, 4)"]
  )
  assert ported.hoisted == []
  assert ported.sizes("Model") == ["in_features", "condition_features"]
  assert "nnx.Linear(condition_features, self.blocks[i].width, rngs=rngs)" in ported.text


def test_a_sequential_that_grows_too_long_has_a_line_for_each_layer(tmp_path):
  source = """
    class Model(nn.Module):
      hidden: int = 4

      def setup(self):
        self.net = nn.Sequential([nn.Dense(self.hidden), nn.relu, nn.Dense(self.hidden, use_bias=False), jnp.tanh])
        self.short = nn.Sequential([nn.Dense(2), nn.relu])

      def __call__(self, x):
        return self.short(self.net(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=["Model(3), x(2, 5)"])
  assert (
    "    self.net = nnx.Sequential(\n"
    "        nnx.Linear(in_features, self.hidden, rngs=rngs),\n"
    "        nnx.relu,\n"
    "        nnx.Linear(self.hidden, self.hidden, use_bias=False, rngs=rngs),\n"
    "        jnp.tanh,\n"
    "    )\n"
  ) in ported.text
  assert "self.short = nnx.Sequential(nnx.Linear(self.hidden, 2, rngs=rngs), nnx.relu)" in ported.text


def test_containers_that_one_statement_gives_to_several_attributes(tmp_path):
  source = """
  class Model(nn.Module):
    widths: Sequence[int] = (5, 7)

    def setup(self):
      layers, norms = [], []
      for width in self.widths:
        layers.append(nn.Dense(width))
        norms.append(nn.LayerNorm())
      self.layers, self.norms = layers, norms
      self.first, self.last = nn.Dense(4), nn.Dense(2)

    def __call__(self, x):
      x = self.first(x)
      for layer, norm in zip(self.layers, self.norms):
        x = norm(layer(x))
      return self.last(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model((3, 2, 6)), x(2, 4)"])
  assert "    self.layers = nnx.List(layers)\n    self.norms = nnx.List(norms)\n" in ported.text
  assert "self.first, self.last = nnx.Linear(" in ported.text


def test_tuples_with_lists_of_layers(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      depths: tuple = (1, 2, 3)
      dim: int = 5

      def setup(self):
        self.embed = nn.Dense(self.dim)
        stages = []
        for i, depth in enumerate(self.depths):
          blocks = [nn.LayerNorm() for _ in range(depth)]
          merge = nn.Dense(self.dim * 2 ** (i + 1)) if i < len(self.depths) - 1 else None
          stages.append((blocks, merge))
        self.stages = stages
        self.norm = nn.LayerNorm()

      def __call__(self, x):
        x = self.embed(x)
        for blocks, merge in self.stages:
          for block in blocks:
            x = x + block(x)
          if merge is not None:
            x = merge(x)
        return self.norm(x)
    """,
    "Model(), x(2, 6)",
  )
  assert "self.stages = nnx.List([nnx.List([nnx.List(blocks), merge]) for blocks, merge in stages])" in ported.text
  assert "self.norm = nnx.LayerNorm(merge_features, rngs=rngs)" in ported.text


def test_lists_of_lists_of_lists_of_layers(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      depths: tuple = (1, 2)

      def setup(self):
        towers = []
        for depth in self.depths:
          towers.append([[nn.Dense(7) for _ in range(2)] for _ in range(depth)])
        self.towers = towers

      def __call__(self, x):
        for tower in self.towers:
          for pair in tower:
            for layer in pair:
              x = layer(x)
        return x
    """,
    "Model(), x(2, 7)",
  )
  assert ported.moves["params/towers_1_0_1/kernel"] == "towers/1/0/1/kernel"
