"""Layers of one comprehension, each taking what the one before gives."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_sizes_are_listed_beside_a_comprehension_that_stays(tmp_path):
  source = """
    class Model(nn.Module):
      widths: Sequence[int]

      def setup(self):
        self.body = nn.Dense(5)
        self.net = nn.Sequential([nn.Dense(int(w), name=f"layer_{i}") for i, w in enumerate(self.widths)] + [nn.relu, nn.Dense(4)])

      def __call__(self, x):
        return self.net(self.body(x))
    """
  ported = port_and_check(
    tmp_path, source, "Model((3, 7)), x(2, 9)", held_out=["Model((4, 2, 6)), x(2, 3)", "Model((4,)), x(2, 3)"]
  )
  assert "net_in_features = [5, *(int(w) for i, w in enumerate(self.widths))]" in ported.text
  assert "nnx.Linear(net_in_features[-1], 4, rngs=rngs)" in ported.text
  assert ported.hoisted == []


def test_row_of_one(tmp_path):
  source = """
    class Model(nn.Module):
      widths: Sequence[int]

      def setup(self):
        self.net = nn.Sequential([nn.Dense(w) for w in self.widths] + [nn.Dense(4)])

      def __call__(self, x):
        return self.net(x)
    """
  port_and_check(tmp_path, source, "Model((3,)), x(2, 9)", held_out=["Model((4, 2, 6)), x(2, 3)"])


def test_layers_side_by_side_share_a_size(tmp_path):
  source = """
    class Model(nn.Module):
      widths: Sequence[int]

      @nn.compact
      def __call__(self, x):
        x = nn.Dense(5)(x)
        return jnp.concatenate([nn.Dense(w)(x) for w in self.widths], axis=-1)
    """
  ported = port_and_check(tmp_path, source, "Model((3, 7)), x(2, 9)", held_out=["Model((4, 2, 6)), x(2, 3)"])
  assert "_iter" not in ported.text
