"""Expressions that `__init__` can evaluate, and those that only a call can."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

SOURCE = """
WIDTH = 4

def double(n):
  return 2 * n

class Model(nn.Module):
  width: int = 3
  table: Sequence[int] = (5, 7)
  options: Any = None

  @nn.compact
  def __call__(self, x):
    {line}
    return nn.Dense(n)(x)
"""


@pytest.mark.parametrize(
  "line",
  [
    "n = self.width * 2 + 1",
    "n = WIDTH",
    "n = double(self.width)",
    "n = self.table[-1]",
    "n = x.shape[-1] // 2",
    "n = max(x.shape[-1], self.width)",
    "n = sum(self.table) + len(self.table)",
    "n = [f + 1 for f in self.table][0]",
    "n = {'a': 3}['a']",
    "n = self.width if self.options is None else 2",
    "n = int(round(self.width * 1.5))",
    "n = (lambda k: k + self.width)(2)",
    "n = functools.reduce(lambda a, b: a * b, self.table)",
    "n = x.ndim + 1",
    "n = len(x.shape)",
    "n = WIDTH; n = n + self.width",
    "a, b = self.table; n = a + b",
    "options = self.options or {}; n = options.get('n', 5)",
  ],
)
def test_static_expression_moves_to_init(tmp_path, line):
  line = line.replace("; ", "\n    ")
  port_and_check(tmp_path, SOURCE.format(line=line), "Model(), x(2, 6)", held_out=["Model(9, (2, 3)), x(2, 11)"])


def test_import_that_only_construction_needs_leaves_the_method(tmp_path):
  line = "import math\n    n = math.ceil(self.width / 2)"
  port_and_check(tmp_path, SOURCE.format(line=line), "Model(), x(2, 6)")


def test_static_value_used_on_both_sides_stays_in_both(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 6
      heads: int = 2

      @nn.compact
      def __call__(self, x):
        size = self.width // self.heads
        q = nn.Dense(self.heads * size)(x)
        return q.reshape(*q.shape[:-1], self.heads, size) / jnp.sqrt(size)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(8, 4), x(2, 3)"])


def test_static_value_that_only_construction_needs_leaves_the_method(tmp_path):
  ported = port_and_check(tmp_path, SOURCE.format(line="n = self.width * 2"), "Model(), x(2, 6)")
  init, _, method = ported.text.partition("def __call__")
  assert "n = self.width * 2" in init
  assert "n = " not in method


def test_dtype_of_the_input_is_reported(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(3, dtype=x.dtype)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert [f.rule for f in ported.findings] == ["L2N107"]
  assert "dtype=jnp.float32" in ported.text


def test_number_that_the_call_gives_is_an_argument_of_the_constructor(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, n):
        return nn.Dense(n)(x)
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 5), 7")
  assert ported.hoisted == []
  assert "def __init__(self, in_features: int, n: int, *, rngs: nnx.Rngs):" in ported.text


def test_layer_chosen_from_a_table(tmp_path):
  source = """
    class Model(nn.Module):
      kind: str = "layer"

      @nn.compact
      def __call__(self, x):
        norm = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}[self.kind]
        return norm()(nn.Dense(7)(x))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", "Model('rms'), x(2, 5)")


def test_values_of_arrays_stay_in_the_method(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        scale = jnp.sqrt(x.var() + 1e-6)
        return nn.Dense(3)(x / scale)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "scale" not in ported.text.partition("def __call__")[0]


def test_length_of_an_array_made_from_fields_is_computed(tmp_path):
  source = """
    import numpy as np

    class Model(nn.Module):
      group: tuple = (3, 1, 2)

      @nn.compact
      def __call__(self, x):
        count = len(np.asarray(self.group))
        return nn.Dense(count)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model((4, 5, 6, 7)), x(2, 3)"])
  assert ported.hoisted == []


def test_last_axis_by_a_computed_index_is_the_features(tmp_path):
  source = """
    class Model(nn.Module):
      axis: int = -1

      @nn.compact
      def __call__(self, x):
        axes = tuple(a if a >= 0 else x.ndim + a for a in (self.axis,))
        shape = []
        for a in axes:
          shape.append(x.shape[a])
        return x * self.param("scale", nn.initializers.ones, shape)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4, 5)", held_out=["Model(), x(3, 2, 6)"])
  assert "def __init__(self, in_features: int, axis: int = -1, *, rngs: nnx.Rngs):" in ported.text


def test_one_axis_of_a_shape_with_a_name_asks_for_no_other(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        shape = x.shape
        hidden = shape[-1] // 2
        y = nn.Dense(hidden)(x.reshape(-1, shape[-1]))
        return nn.Dense(shape[-1])(y).reshape(shape)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3, 4, 6)", held_out=["Model(), x(1, 5, 3, 8)"])
  assert "def __init__(self, in_features: int, *, rngs: nnx.Rngs):" in ported.text
  assert "hidden = in_features // 2" in ported.text
