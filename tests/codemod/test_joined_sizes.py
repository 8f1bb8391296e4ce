"""Lists of layers of `setup` whose inputs are joined: U-Nets, dense blocks."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_unet_whose_decoder_halves_first(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      widths: tuple

      def setup(self):
        self.downs = [nn.Conv(w, (3,)) for w in self.widths[:-1]]
        self.middle = nn.Conv(self.widths[-1], (3,))
        self.ups = [nn.ConvTranspose(w, (2,), strides=(2,)) for w in reversed(self.widths[:-1])]
        self.convs = [nn.Conv(w, (3,)) for w in reversed(self.widths[:-1])]

      def __call__(self, x):
        skips = []
        for down in self.downs:
          x = nn.relu(down(x))
          skips.append(x)
          x = nn.max_pool(x, (2,), strides=(2,))
        x = self.middle(x)
        for up, conv, skip in zip(self.ups, self.convs, skips[::-1]):
          x = conv(jnp.concatenate([up(x), skip], axis=-1))
        return x
    """,
    "Model((5, 7, 11)), x(2, 16, 3)",
    held_out=["Model((2, 3, 4, 6)), x(2, 16, 5)"],
  )
  assert ported.hoisted == []
  assert "nnx.Conv(2 * w, w, (3,), rngs=rngs)" in ported.text


def test_unet_whose_decoder_joins_what_the_layer_before_gives(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      widths: tuple

      def setup(self):
        self.down = [nn.Dense(w) for w in self.widths]
        self.up = [nn.Dense(w) for w in self.widths[::-1]]

      def __call__(self, x):
        skips = []
        for layer in self.down:
          x = nn.relu(layer(x))
          skips.append(x)
        for layer in self.up:
          x = nn.relu(layer(jnp.concatenate([x, skips.pop()], -1)))
        return x
    """,
    "Model((5, 7, 11)), x(2, 3)",
    held_out=["Model((2, 3, 4, 6)), x(2, 13)"],
  )
  assert ported.hoisted == []
  assert "nnx.Linear(up_features + w, w, rngs=rngs)" in ported.text


def test_dense_block(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      growth: int
      depth: int

      def setup(self):
        self.layers = [nn.Dense(self.growth) for _ in range(self.depth)]

      def __call__(self, x):
        features = [x]
        for layer in self.layers:
          features.append(nn.relu(layer(jnp.concatenate(features, axis=-1))))
        return jnp.concatenate(features, axis=-1)
    """,
    "Model(5, 3), x(2, 7)",
    held_out=["Model(3, 4), x(2, 11)"],
  )
  assert ported.hoisted == []
  assert "layers_features += self.growth" in ported.text


def test_layers_that_all_have_one_joined_input_are_no_row(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      widths: tuple = (5, 7)

      def setup(self):
        self.heads = [nn.Dense(w) for w in self.widths]

      def __call__(self, x, y):
        both = jnp.concatenate([x, y], -1)
        return [head(both) for head in self.heads]
    """,
    "Model(), x(2, 3), x(2, 11)",
    held_out=["Model((2, 3, 4)), x(2, 4), x(2, 6)"],
  )
  assert "heads_features" not in ported.text
