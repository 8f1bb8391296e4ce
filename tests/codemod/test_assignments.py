"""Assignments of compact methods."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check


@pytest.mark.parametrize(
  "line",
  [
    "x: jax.Array = nn.Dense(7)(x)",
    "y = x = nn.Dense(7)(x); x = x + y",
    "x += nn.Dense(5)(x)",
    "(x) = (nn.Dense(7)(x))",
  ],
)
def test_every_way_to_assign(tmp_path, line):
  source = f"""
class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    {line}
    return nn.Dense(3)(x)
""".replace("; ", "\n    ")
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 5)"])


def test_arrays_unpacked_from_a_tuple(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      width: int = 6

      @nn.compact
      def __call__(self, x):
        gate, value = jnp.split(nn.Dense(2 * self.width)(x), 2, axis=-1)
        h, w = nn.sigmoid(gate) * value, x
        return nn.Dense(3)(h) + nn.Dense(3)(w)
    """,
    "Model(), x(2, 5)",
    held_out=["Model(7), x(2, 3)"],
  )


def test_shape_unpacked_into_names(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        batch, length, width = x.shape
        y = nn.Dense(width * 4)(x)
        y = nn.Dense(width)(nn.gelu(y))
        return (x + y).reshape(batch, length * width)
    """,
    "Model(), x(2, 3, 5)",
    held_out=["Model(), x(3, 2, 7)"],
  )
  assert ported.sizes("Model") == ["in_features"]


def test_list_of_layers_by_comprehension(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      heads: int = 3

      @nn.compact
      def __call__(self, x):
        heads = [nn.Dense(4) for _ in range(self.heads)]
        return jnp.stack([h(x) for h in heads])
    """,
    "Model(), x(2, 5)",
    held_out=["Model(2), x(2, 3)"],
  )


def test_list_of_layers_whose_sizes_run(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      features: Sequence[int] = (7, 5)

      @nn.compact
      def __call__(self, x):
        layers = [nn.Dense(f) for f in self.features]
        for layer in layers:
          x = nn.relu(layer(x))
        return x
    """,
    "Model(), x(2, 3)",
    held_out=["Model((5, 2, 13)), x(2, 11)"],
  )
  assert ported.hoisted == []


def test_annotated_local_of_a_linen_type(tmp_path):
  source = """
    from flax.linen.recurrent import Carry

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        cell = nn.SimpleCell(4)
        carry: Carry = jnp.zeros((x.shape[0], 4))
        layer: nn.Module = nn.Dense(3)
        return layer(cell(carry, x)[1])
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(3, 4)"])
  assert "carry: Any = jnp.zeros((x.shape[0], 4))" in ported.text


def test_starred_names_of_what_construction_knows(tmp_path):
  source = """
    class Model(nn.Module):
      widths: Sequence[int] = (7, 5, 3)

      @nn.compact
      def __call__(self, x):
        *hidden, last = self.widths
        for width in hidden:
          x = nn.relu(nn.Dense(width)(x))
        return nn.Dense(last)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4)", held_out=["Model((2, 11)), x(2, 6)"])
  assert "*hidden, last = self.widths" in ported.text
  assert ported.hoisted == []


def test_sums_that_begin_with_a_number_have_the_axes_of_what_is_added(tmp_path):
  source = """
    class Model(nn.Module):
      depth: int = 2
      width: int = 7

      @nn.compact
      def __call__(self, x):
        total, skip = 0.0, 0
        for _ in range(self.depth):
          y = nn.Dense(self.width)(x)
          total += y
          skip = skip + nn.Dense(5)(y)
        return nn.Dense(3)(total) + nn.Dense(3)(skip)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4)", held_out=["Model(3, 6), x(2, 5)"])
  assert ported.hoisted == []


def test_names_that_change_places_change_them_at_once(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        y = nn.Dense(5)(x)
        x, y = y, x
        y = nn.Dense(3)(y)
        a, b = 2, 7
        a, b = b, a + b
        return nn.Dense(a)(x) + nn.Dense(b)(y)[..., :1]
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4)", held_out=["Model(), x(2, 6)"])
  assert "    a, b = b, a + b\n    self." in ported.text
  assert "nnx.Linear(5, a, rngs=rngs)" in ported.text
