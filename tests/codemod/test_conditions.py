"""Conditions of a method as `__init__` has them."""

from __future__ import annotations

from tests.codemod.support import port_and_check

OPTIONAL = """
  class Model(nn.Module):
    width: int = 7
    spin: bool = True

    @nn.compact
    def __call__(self, inputs):
      y = nn.Dense(self.width, name="first")(inputs["x"])
      if self.spin and "spin" in inputs:
        y = y + nn.Dense(self.width, name="extra")(inputs["spin"])
      return y
  """


def test_layer_for_an_input_that_is_not_given_is_not_made(tmp_path):
  ported = port_and_check(tmp_path, OPTIONAL, 'Model(), {"x": x(2, 5)}', clean=False)
  assert "if has_extra:\n" in ported.text


def test_field_decides_where_the_rest_of_the_condition_held(tmp_path):
  ported = port_and_check(
    tmp_path,
    OPTIONAL,
    'Model(), {"x": x(2, 5), "spin": x(2, 3)}',
    held_out=['Model(3), {"x": x(2, 4), "spin": x(2, 6)}'],
  )
  assert "has_extra" not in ported.text
  assert "if self.spin:\n" in ported.text


def test_flag_of_the_call_decides_nothing_at_construction(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, extra=False):
        y = nn.Dense(7)(x)
        return nn.Dense(3)(y) if not extra else nn.Dense(3)(y) + 1
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "has_" not in ported.text


def test_what_only_the_size_of_an_image_decides_in_a_loop_is_told_round_by_round(tmp_path):
  source = """
    class Model(nn.Module):
      width: int
      depth: int = 3
      at: Sequence[int] = (4,)

      @nn.compact
      def __call__(self, x):
        for i in range(self.depth):
          x = nn.Conv(self.width, (3, 3), strides=(2, 2), name=f"down_{i}")(x)
          if x.shape[1] in self.at:
            x = x + nn.Dense(self.width, name=f"attn_{i}")(x)
        return x
  """
  ported = port_and_check(tmp_path, source, "Model(6), x(2, 16, 16, 3)", "Model(5, at=(2, 8)), x(1, 16, 16, 2)")
  assert ported.hoisted == ["has_attn"]
  assert "has_attn_iter = iter(has_attn)" in ported.text
  assert "if next(has_attn_iter):" in ported.text


def test_names_that_tests_give(tmp_path):
  source = """
    class Scaled(nn.Module):
      rank: int | None = None

      def setup(self):
        if rank := self.rank:
          self.w = self.param("w", nn.initializers.normal(), (rank, 3))

      def __call__(self, x):
        return x @ self.w if self.rank else x


    class Model(nn.Module):
      rank: int | None = None
      out: int | None = None

      @nn.compact
      def __call__(self, x):
        if (n := self.out) is not None:
          x = nn.Dense(n)(x)
        if (n := x.shape[-1]) > 2:
          x = nn.Dense(n // 2)(x)
        x = nn.Dense(4)(x)
        return Scaled(self.rank)(x)
    """
  ported = port_and_check(
    tmp_path, source, "Model(4, 7), x(2, 5)", held_out=["Model(4), x(2, 6)", "Model(None, 6), x(2, 1)"], clean=False
  )
  assert "if n is not None:\n" in ported.text
  assert "if rank := self.rank:\n" in ported.text


def test_condition_without_an_else_keeps_the_size_before_it(tmp_path):
  source = """
    class Model(nn.Module):
      out: int | None = None

      @nn.compact
      def __call__(self, x):
        if self.out is not None:
          x = nn.Dense(self.out)(x)
        return nn.Dense(3)(x)
    """
  port_and_check(tmp_path, source, "Model(7), x(2, 5)", held_out=["Model(), x(2, 5)", "Model(4), x(2, 6)"])


def test_shapes_compared_beside_another_condition(tmp_path):
  source = """
    class Block(nn.Module):
      width: int
      strides: tuple = (1, 1)

      @nn.compact
      def __call__(self, x):
        y = nn.Conv(self.width, (3, 3), self.strides)(x)
        if self.strides == (2, 2) or x.shape != y.shape:
          x = nn.Conv(self.width, (1, 1), self.strides)(x)
        return x + y

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Block(7, (2, 2))(Block(7)(Block(7)(x)))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 8, 8, 5)", held_out=["Model(), x(2, 8, 12, 3)"])
  assert "    if self.strides == (2, 2) or in_features != self.width:\n" in ported.text


def test_alternatives_over_two_lines_keep_their_parentheses(tmp_path):
  source = """
    class Model(nn.Module):
      where: str = "first"
      widths: tuple = (7, 5, 3)

      @nn.compact
      def __call__(self, x):
        for i, width in enumerate(self.widths):
          x = nn.Dense(width)(x)
          if self.where is not None and (
            ("first" in self.where and i == 0) or
            ("last" in self.where and i + 2 == len(self.widths))
          ):
            x = nn.LayerNorm()(x)
        return x
    """
  held_out = ['Model("first_last"), x(2, 4)', "Model(None), x(2, 4)"]
  ported = port_and_check(tmp_path, source, "Model(), x(2, 11)", held_out=held_out)
  assert "if self.where is not None and ((" in ported.text
