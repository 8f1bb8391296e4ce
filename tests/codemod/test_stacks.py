"""Ensembles whose number only their inputs tell."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_number_from_the_input(tmp_path):
  source = """
    class Head(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x, t):
        return nn.Dense(self.width)(jnp.concatenate([x, t[:, None]], -1))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, t):
        Heads = nn.vmap(
          Head, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=(None, -1), out_axes=1
        )
        x = Heads(7, name="heads")(x, t)
        return nn.vmap(nn.Dense, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=1, out_axes=1)(2)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6), x(2, 5)", held_out=["Model(), x(3, 4), x(3, 2)"])
  assert "self.heads = Heads(in_features, 7, axis_size=t_features, rngs=rngs)" in ported.text


def test_number_that_is_given_stays(tmp_path):
  source = """
    class Model(nn.Module):
      count: int = 3

      @nn.compact
      def __call__(self, x):
        heads = nn.vmap(
          nn.Dense, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=None, out_axes=0,
          axis_size=self.count,
        )
        return heads(4)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=["Model(4), x(3, 5)"])
  assert ported.text.count("axis_size") == 1


def test_number_of_layers_without_parameters(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        norm = nn.vmap(nn.LayerNorm, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=1, out_axes=1)(
          use_scale=False, use_bias=False
        )(x)
        return nn.Dense(2)(norm)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3, 6)", held_out=["Model(), x(3, 4, 5)"])
  assert "axis_size=length" in ported.text
