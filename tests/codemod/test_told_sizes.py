"""Sizes that construction needs and that nothing tells."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

PAIRS = """
  def pairs(x):
    rows, columns = jnp.triu_indices(x.shape[1])
    return (x[:, :, None] * x[:, None, :])[:, rows, columns]

  class Model(nn.Module):
    widths: Sequence[int] = (11, 7)

    @nn.compact
    def __call__(self, x):
      y = jnp.concatenate([x, pairs(x)], axis=-1)
      width = y.shape[{axis}]
      for i, fan_out in enumerate(self.widths):
        fan_in = width if i == 0 else self.widths[i - 1]
        y = nn.Dense(fan_out, kernel_init=nn.initializers.normal((2.0 / (fan_in + fan_out)) ** 0.5))(y)
      return y
"""


def test_size_that_an_initializer_needs(tmp_path):
  held_out = ["Model((3, 5, 2)), x(2, 4)"]
  ported = port_and_check(tmp_path, PAIRS.format(axis=-1), "Model(), x(2, 3)", held_out=held_out)
  assert "def __init__(self, y_features: int, widths: Sequence[int] = (11, 7), *, rngs: nnx.Rngs):" in ported.text
  assert "width = y_features\n" in ported.text
  assert ported.hoisted == ["y_features"]


def test_axis_counted_from_the_first(tmp_path):
  ported = port_and_check(tmp_path, PAIRS.format(axis=1), "Model(), x(2, 3)")
  assert ported.hoisted == ["y_features"]


ATTENTION = """
  class Attention(nn.Module):
    num_heads: int = 2
    qkv_features: int | None = None

    def to_rows(self, x):
      return x

    @nn.compact
    def __call__(self, x):
      x = self.to_rows(x)
      qkv_features = self.qkv_features or x.shape[-1]
      x = x + self.param("pos", nn.initializers.normal(), x.shape[-2:])
      dense = functools.partial(nn.DenseGeneral, features=(self.num_heads, qkv_features // self.num_heads))
      y = dense(name="query")(x) * dense(name="value")(x)
      return nn.DenseGeneral(x.shape[-1], axis=(-2, -1), name="out")(y)

  class PatchAttention(Attention):
    patch: int = 3

    def to_rows(self, x):
      return jnp.reshape(x, (x.shape[0], -1, self.patch * x.shape[-1]))
"""


@pytest.mark.parametrize(
  ("given", "held_out"),
  [("", "PatchAttention(patch=2), x(2, 8, 5)"), ("qkv_features=14", "PatchAttention(), x(2, 6, 5)")],
)
def test_size_in_an_expression_that_a_partial_reads(tmp_path, given, held_out):
  ported = port_and_check(tmp_path, ATTENTION, f"PatchAttention({given}), x(2, 6, 4)", held_out=[held_out])
  assert "qkv_features = self.qkv_features or x_features\n" in ported.text
  assert "x_features" in ported.hoisted


def test_value_of_an_array_is_no_size(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        width = x.sum()
        return nn.Dense(7, kernel_init=nn.initializers.normal(width))(x)
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  assert ported.rewriting.left == ["model.Model"]
