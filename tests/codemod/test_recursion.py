"""Classes that make instances of themselves."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_class_that_makes_itself_gives_its_own_sizes(tmp_path):
  source = """
  class Tree(nn.Module):
    depth: int = 2
    width: int = 4

    @nn.compact
    def __call__(self, x):
      y = nn.Dense(self.width)(x)
      if self.depth > 0:
        y = y + Tree(self.depth - 1, self.width)(nn.relu(y))
      return y
  """
  ported = port_and_check(tmp_path, source, "Tree(), x(2, 3)", held_out=["Tree(1, 5), x(2, 6)", "Tree(0), x(2, 3)"])
  assert "self.tree = Tree(self.width, self.depth - 1, self.width, rngs=rngs)" in ported.text


def test_u_net_inside_a_u_net(tmp_path):
  source = """
  class Level(nn.Module):
    widths: Sequence[int]

    @nn.compact
    def __call__(self, x):
      features = x.shape[-1]
      x = nn.relu(nn.Conv(self.widths[0], (3, 3))(x))
      if len(self.widths) > 1:
        inner = Level(self.widths[1:])(nn.avg_pool(x, (2, 2), (2, 2)))
        inner = jnp.repeat(jnp.repeat(inner, 2, axis=1), 2, axis=2)
        x = jnp.concatenate([x, inner], axis=-1)
      return nn.Conv(features, (3, 3))(x)
  """
  held_out = ["Level((4,)), x(2, 8, 8, 3)", "Level((4, 6)), x(2, 8, 8, 2)"]
  port_and_check(tmp_path, source, "Level((5, 7, 9)), x(2, 8, 8, 3)", held_out=held_out)
