"""Sizes that the arguments of a construction tell."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

UNET = """
  class Block(nn.Module):
    out: int

    @nn.compact
    def __call__(self, x):
      return nn.relu(nn.Conv(self.out, (3, 3))(x))

  class Model(nn.Module):
    out_channels: int = 1
    channels: int = 3
    depth: int = 3

    @nn.compact
    def __call__(self, x):
      down = [Block(self.channels)]
      ch = self.channels
      for _ in range(self.depth - 1):
        down.append(Block(ch * 2))
        ch *= 2
      middle = Block(ch * 2)
      up = []
      for _ in range(self.depth):
        up.append(Block(ch))
        ch //= 2
      final = nn.Conv(self.out_channels, (1, 1))

      skips = []
      y = x[..., None]
      for layer in down:
        y = layer(y)
        skips.append(y)
      y = middle(y)
      for layer in up:
        y = layer(jnp.concatenate([y[..., : y.shape[-1] // 2], skips.pop()], axis=-1))
      return final(y)
"""


def test_local_that_a_method_counts(tmp_path):
  examples = ["Model(), x(2, 8, 8)", "Model(channels=5), x(2, 8, 8)"]  # one alone does not tell 4 * 3 from 12
  ported = port_and_check(tmp_path, UNET, *examples, "Model(2, 7, 4), x(2, 9, 9)")
  assert "self.down = nnx.List([Block(1, self.channels, rngs=rngs)])" in ported.text
  assert "self.down.append(Block(ch, ch * 2, rngs=rngs))" in ported.text
  assert "self.middle = Block(ch, ch * 2, rngs=rngs)" in ported.text
  assert "self.up.append(Block(ch * 2, ch, rngs=rngs))" in ported.text


def test_widths_that_halve_by_chance(tmp_path):
  source = """
    class Model(nn.Module):
      widths: Sequence[int] = (8, 4, 2)

      @nn.compact
      def __call__(self, x):
        layers = []
        for width in self.widths:
          layers.append(nn.Dense(width))
        x = nn.Dense(16)(x)
        for layer in layers:
          x = layer(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model((7, 3)), x(2, 3)"])
  assert "width * 2" not in ported.text


def test_one_channel_is_not_one_class(tmp_path):
  source = """
    class Model(nn.Module):
      out_channels: int = 1

      @nn.compact
      def __call__(self, x):
        layers = [nn.Conv(7, (3, 3)), nn.Conv(self.out_channels, (1, 1))]
        y = jnp.expand_dims(x, -1)
        for layer in layers:
          y = layer(y)
        return y
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5, 5)", held_out=["Model(2), x(2, 4, 4)"])
  assert "nnx.Conv(1, 7, (3, 3), rngs=rngs)" in ported.text


METHOD = """
  class Model(nn.Module):
    widths: Sequence[int] = (5, 7)

    def setup(self):
      {make}

    def block(self, w):
      return nn.Sequential([nn.Dense(w), nn.LayerNorm(), nn.relu])

    def __call__(self, x):
      for layer in self.layers:
        x = layer(x)
      return x
"""


@pytest.mark.parametrize(
  "make",
  [
    "self.layers = [self.block(w) for w in self.widths]",
    "layers = []\n      for w in self.widths:\n        layers.append(self.block(w))\n      self.layers = layers",
  ],
)
def test_blocks_that_a_method_makes_take_the_width_of_the_one_before(tmp_path, make):
  held_out = ["Model((3, 8)), x(2, 4)"]
  ported = port_and_check(tmp_path, METHOD.format(make=make), "Model(), x(2, 3)", held_out=held_out)
  assert "self.layers.append(self.block(w, in_features=layers_features, rngs=rngs))" in ported.text.replace(
    " layers.append", " self.layers.append"
  )
  assert ported.hoisted == []


def test_blocks_of_one_width_are_not_told_an_argument_that_happens_to_be_it(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.layers = [self.block(n) for n in (3, 3)]

      def block(self, heads):
        return nn.Sequential([nn.SelfAttention(heads), nn.LayerNorm(), nn.Dense(3)])

      def __call__(self, x):
        for layer in self.layers:
          x = layer(x)
        return x
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4, 3)")
  assert "layers_features = n" not in ported.text
