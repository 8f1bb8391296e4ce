"""Lists of `setup` whose layers take what other layers of `setup` give."""

from tests.codemod.support import port_and_check

UNET = """
    class Block(nn.Module):
      features: int

      @nn.compact
      def __call__(self, x):
        return nn.swish(nn.Conv(self.features, (3, 3))(x))

    class UNet(nn.Module):
      widths: Sequence[int] = (6, 10)

      def setup(self):
        self.down = [Block(w) for w in self.widths]
        self.bottom = Block(2 * self.widths[-1])
        self.up = [Block(w) for w in reversed(self.widths)]
        self.heads = [nn.Dense(3) for _ in self.widths]

      def __call__(self, x):
        skips, out = [], []
        for block in self.down:
          x = block(x)
          skips.append(x)
          x = nn.avg_pool(x, (2, 2), strides=(2, 2))
        x = self.bottom(x)
        for block, head, skip in zip(self.up, self.heads, reversed(skips)):
          x = jax.image.resize(x, (*skip.shape[:3], x.shape[-1]), "nearest")
          x = block(jnp.concatenate([x, skip], axis=-1))
          out.append(head({head}))
        return out
    """


def test_layers_before_a_list_and_beside_it(tmp_path):
  held_out = ["UNet((4, 5, 9)), x(2, 16, 16, 2)"]
  ported = port_and_check(tmp_path, UNET.replace("{head}", "x"), "UNet(), x(2, 8, 8, 1)", held_out=held_out)
  assert ported.hoisted == []
  assert "up_features = 2 * self.widths[-1]" in ported.text
  assert "nnx.Linear(self.up[len(self.heads)].features, 3, rngs=rngs)" in ported.text


def test_layers_that_take_more_than_the_list_beside_gives(tmp_path):
  source = UNET.replace("{head}", "jnp.concatenate([x, x[..., :1]], axis=-1)")
  ported = port_and_check(tmp_path, source, "UNet(), x(2, 8, 8, 1)")
  assert "self.up[len(self.heads)].features, 3" not in ported.text


def test_lists_of_stock_layers(tmp_path):
  source = """
    class Model(nn.Module):
      widths: Sequence[int] = (4, 7)

      def setup(self):
        self.first = [nn.Dense(w) for w in self.widths]
        self.second = [nn.Dense(3) for _ in self.widths]

      def __call__(self, x):
        return sum(second(nn.relu(first(x))) for first, second in zip(self.first, self.second))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model((6, 3, 9)), x(2, 4)"])
  assert ported.hoisted == []
