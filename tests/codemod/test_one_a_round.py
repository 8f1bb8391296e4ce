"""Layers of which every round of a loop makes one, in one branch or another."""

from __future__ import annotations

from tests.codemod.support import port_and_check

LAST_IS_SPECIAL = """
  class MLP(nn.Module):
    sizes: Sequence[int]

    @nn.compact
    def __call__(self, x):
      for i, size in enumerate(self.sizes):
        if i < len(self.sizes) - 1:
          x = nn.relu(nn.Dense(size, use_bias=False)(x))
        else:
          x = nn.Dense(size, kernel_init=nn.initializers.zeros)(x)
      return x
  """


def test_last_layer_of_a_row_that_begins_otherwise_is_in_the_same_list(tmp_path):
  ported = port_and_check(tmp_path, LAST_IS_SPECIAL, "MLP((3, 5, 11)), x(2, 7)", held_out=["MLP((4,)), x(2, 7)"])
  assert ported.text.count("nnx.List") == 1
  assert ported.text.count("self.dense.append(") == 2
  assert ported.text.count("self.dense[i](x)") == 2
  assert "iter(" not in ported.text


def test_rounds_of_three_kinds(tmp_path):
  source = """
    class MLP(nn.Module):
      sizes: Sequence[int]

      @nn.compact
      def __call__(self, x):
        for i, size in enumerate(self.sizes):
          if i == 0:
            x = nn.Dense(size, use_bias=False)(x)
          elif i < len(self.sizes) - 1:
            x = x + nn.Dense(x.shape[-1])(x)
          else:
            x = nn.Dense(size)(nn.relu(x))
        return x
    """
  ported = port_and_check(tmp_path, source, "MLP((3, 3, 5, 11)), x(2, 7)")
  assert ported.text.count("self.dense[i](") == 3


def test_layers_that_only_some_rounds_make_and_named_ones_have_lists_of_their_own(tmp_path):
  source = """
    class MLP(nn.Module):
      sizes: Sequence[int]

      @nn.compact
      def __call__(self, x):
        for i, size in enumerate(self.sizes):
          if i < len(self.sizes) - 1:
            x = nn.Dense(size, name=f"hidden_{i}")(x)
            x = nn.LayerNorm()(x)
          else:
            x = nn.Dense(size, name="out")(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "MLP((3, 5, 11)), x(2, 7)")
  assert "self.hidden" in ported.text
  assert "self.out" in ported.text
