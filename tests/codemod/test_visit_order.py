"""NNX sorts the keys of dicts of layers where Linen keeps their order: the mapping is by name, and so is what a class iterates over."""

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
  assert ported.text.count("OrderedLayers(") == 2


def test_dicts_that_nothing_iterates_over_stay_plain(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.heads = {"second": nn.Dense(4), "first": nn.Dense(3)}

      def __call__(self, x):
        return self.heads["second"](x), self.heads["first"](x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)")
  assert "self.heads = nnx.Dict({" in ported.text
