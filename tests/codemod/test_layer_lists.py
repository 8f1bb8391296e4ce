"""Lists of layers, and of rows of layers, made in comprehensions."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

COMPACT = """
    class Model(nn.Module):
      depth: int = 2
      width: int = 6

      @nn.compact
      def __call__(self, x):
        blocks = [(nn.Dense(self.width), nn.LayerNorm()) for _ in range(self.depth)]
        USE
        return x
    """


def test_rows_that_a_loop_takes_apart_are_lists_of_its_names(tmp_path):
  use = "for mix, norm in blocks:\n          x = x + norm(mix(x))"
  ported = port_and_check(
    tmp_path, COMPACT.replace("USE", use), "Model(), x(2, 6)", held_out=["Model(3, 5), x(2, 5)", "Model(1, 4), x(2, 4)"]
  )
  assert "self.mix.append(nnx.Linear(" in ported.text
  assert "self.norm.append(nnx.LayerNorm(" in ported.text
  assert "for mix, norm in zip(self.mix, self.norm):" in ported.text
  assert ported.hoisted == []


def test_rows_that_are_indexed_stay_a_list(tmp_path):
  use = "x = blocks[0][1](blocks[0][0](x)) + blocks[-1][1](blocks[-1][0](x))"
  ported = port_and_check(tmp_path, COMPACT.replace("USE", use), "Model(), x(2, 6)")
  assert "list(zip(self.dense, self.layer_norm))" in ported.text


@pytest.mark.parametrize("row", ["(nn.Dense(self.width), nn.LayerNorm())", "[nn.Dense(self.width), nn.LayerNorm()]"])
def test_rows_of_setup(tmp_path, row):
  source = f"""
    class Model(nn.Module):
      depth: int = 2
      width: int = 6

      def setup(self):
        self.blocks = [{row} for _ in range(self.depth)]

      def __call__(self, x):
        for mix, norm in self.blocks:
          x = norm(mix(x))
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3, 7), x(2, 4)"])
  assert (
    "self.blocks.append(nnx.List([nnx.Linear(blocks_features, self.width, rngs=rngs), nnx.LayerNorm(" in ported.text
  )
  assert ported.hoisted == []


def test_containers_that_are_written_out_are_converted_where_they_stand(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.stem = nn.Dense(6)
        self.table = {"a": [nn.Dense(6), nn.Dense(6)], "b": [nn.Dense(6)]}
        self.rows = [(nn.Dense(6), nn.Dense(4)), (nn.Dense(3), nn.Dense(4))]

      def __call__(self, x):
        x = self.stem(x)
        for layer in self.table["a"]:
          x = layer(x)
        x = self.table["b"][0](x)
        return sum(second(first(x)) for first, second in self.rows)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 4)"])
  assert ".items()" not in ported.text
  assert "for part in" not in ported.text
  assert 'nnx.Dict({"a": nnx.List([' in ported.text
