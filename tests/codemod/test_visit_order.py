"""Linen sorts dicts of modules by their keys, NNX does not: the mapping is by name."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_layers_of_a_dict_are_told_by_their_keys(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        sizes = {"second": 4, "first": 3}
        self.heads = {name: nn.Sequential([nn.Dense(5), nn.Dense(size)]) for name, size in sizes.items()}

      def __call__(self, x):
        return {name: head(x) for name, head in self.heads.items()}
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)")
  assert ported.moves["params/heads_first/layers_1/kernel"] == "heads/first/layers/1/kernel"


def test_layers_of_nested_dicts(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.towers = {n: {k: nn.Dense(s) for k, s in (("out", 2), ("in", 4))} for n in ("b", "a")}

      def __call__(self, x):
        return {n: [layer(x) for layer in tower.values()] for n, tower in self.towers.items()}
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)")
  assert ported.moves["params/towers_a_in/kernel"] == "towers/a/in/kernel"
