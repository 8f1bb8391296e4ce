"""Layers of two ways through a method that have one name in Linen are one layer."""

from tests.codemod.support import port_and_check

STEP = """
    class Step(nn.Module):
      @nn.compact
      def __call__(self, x, reverse=False):
        if not reverse:
          x = nn.LayerNorm()(x)
          h = nn.tanh(nn.Dense(8)(x))
          x = x + nn.Dense(x.shape[-1], name="shift")(h)
        else:
          h = nn.tanh(nn.Dense(8)(x))
          x = x - nn.Dense(x.shape[-1], name="shift")(h)
          x = nn.LayerNorm()(x)
        return x
"""


def test_both_ways_use_the_layers_of_one_name(tmp_path):
  ported = port_and_check(tmp_path, STEP, "Step(), x(2, 4)", held_out=["Step(), x(2, 4), True"])
  init, _, call = ported.text.partition("  def __call__")
  assert init.count("nnx.Linear(") == 2
  assert call.count("self.dense(x)") == call.count("self.shift(h)") == call.count("self.layer_norm(x)") == 2


def test_loops_that_count_their_layers_the_other_way_round(tmp_path):
  source = (
    STEP
    + """
    class Flow(nn.Module):
      n: int = 2

      @nn.compact
      def __call__(self, x, reverse=False):
        if not reverse:
          for i in range(self.n):
            x = Step(name=f"step_{i}")(x)
        else:
          for i in reversed(range(self.n)):
            x = Step(name=f"step_{i}")(x, reverse=True)
        return x
    """
  )
  ported = port_and_check(tmp_path, source, "Flow(), x(2, 4)", held_out=["Flow(3), x(2, 4), True"])
  assert "x = self.step[i](x, reverse=True)" in ported.text


def test_way_that_returns_early(tmp_path):
  source = """
    class Coupling(nn.Module):
      @nn.compact
      def __call__(self, x, reverse=False):
        if reverse:
          h = nn.tanh(nn.Dense(8)(x))
          return x - nn.Dense(x.shape[-1])(h)
        h = nn.tanh(nn.Dense(8)(x))
        return x + nn.Dense(x.shape[-1])(h)
    """
  ported = port_and_check(tmp_path, source, "Coupling(), x(2, 4)", held_out=["Coupling(), x(2, 4), True"])
  assert ported.text.count("nnx.Linear(") == 2


def test_what_differs_is_told(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, reverse=False):
        if not reverse:
          x = nn.Dense(4)(x)
        else:
          x = nn.Dense(4, use_bias=False)(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4)", clean=False)
  told = [f for f in ported.rewriting.findings if f.rule == "L2N103"]
  assert len(told) == 1
  assert "under the same name" in told[0].found


def test_ways_that_a_field_decides_have_layers_of_their_own(tmp_path):
  source = """
    class Model(nn.Module):
      wide: bool = False

      @nn.compact
      def __call__(self, x):
        if self.wide:
          x = nn.Dense(4)(x)
        else:
          x = nn.Dense(4)(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4)", held_out=["Model(True), x(2, 3)"])
  assert ported.rewriting.findings == []


def test_ways_of_a_condition_on_fields_have_one_attribute_for_one_name(tmp_path):
  source = """
    class Model(nn.Module):
      kind: str = "dense"

      @nn.compact
      def __call__(self, x):
        x = nn.Dense(6, name="first")(x)
        if self.kind == "dense":
          x = nn.Dense(6, name="out")(x)
        elif self.kind == "conv":
          x = nn.Conv(6, (3,), name="out")(x)
        else:
          x = nn.LayerNorm(name="out")(x)
        return nn.Dense(2)(x)
    """
  examples = [f'Model("{kind}"), x(2, 4, 7)' for kind in ("dense", "conv", "norm")]
  ported = port_and_check(tmp_path, source, *examples, held_out=['Model("conv"), x(2, 5, 3)'])
  assert ported.text.count("self.out = ") == ported.text.count("self.out(x)") == 3


def test_a_name_that_comes_again_in_the_same_way_is_another_layer(tmp_path):
  source = """
    class Part(nn.Module):
      wide: bool = True

      @nn.compact
      def __call__(self, x):
        if self.wide:
          return nn.Dense(9, name="out")(x)
        return nn.Dense(2, name="out")(x)

    class Model(nn.Module):
      wide: bool = True

      @nn.compact
      def __call__(self, x):
        if self.wide:
          x = nn.Dense(6, name="out")(x)
          x = nn.Dense(6, name="last")(x)
        else:
          x = nn.Dense(6, name="last")(x)
        return Part(self.wide)(x)
    """
  ported = port_and_check(
    tmp_path, source, "Model(), x(2, 7)", "Model(False), x(2, 7)", held_out=["Model(False), x(3, 5)"]
  )
  assert "self.last_1" not in ported.text
  assert "self.out_1" in ported.text
