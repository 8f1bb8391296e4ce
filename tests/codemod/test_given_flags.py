"""Arguments of calls that may be left out, where layers depend on it: makers tell by what they call."""

from tests.codemod.support import port_and_check

MIX = """
    class Mix(nn.Module):
      @nn.compact
      def __call__(self, x, y=None):
        if y is not None:
          x = x + nn.Dense(5)(y)
        else:
          x = nn.Dense(5)(x)
        return nn.relu(x)
"""


def test_makers_write_the_flag_from_the_call(tmp_path):
  source = (
    MIX
    + """
    class Inner(nn.Module):
      def setup(self):
        self.mix = Mix()
        self.alone = Mix()

      def __call__(self, x, y=None):
        return self.mix(x, y) + self.alone(x)

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, y):
        x = Mix(name="first")(x)
        x = Mix(name="second")(x, None)
        x = Mix(name="third")(x, y=y)
        return Inner()(x, y) + Inner()(x)
    """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5), x(2, 3)", held_out=["Model(), x(2, 4), x(2, 6)"])
  assert ported.hoisted == []
  assert "self.first = Mix(in_features, has_y=False, rngs=rngs)" in ported.text
  assert "self.second = Mix(5, has_y=False, rngs=rngs)" in ported.text
  assert "self.third = Mix(5, in_features=y_features, has_y=True, rngs=rngs)" in ported.text
  assert "has_y=has_y, rngs=rngs)" in ported.text, "what an argument decides is handed on"


def test_condition_that_always_held_is_no_flag(tmp_path):
  source = (
    MIX.replace("x = nn.Dense(5)(x)", "x = x * 2")
    + """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, y):
        return Mix()(x, y)
    """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5), x(2, 3)", held_out=["Model(), x(2, 5), x(2, 6)"])
  assert "has_y" not in ported.text


def test_layers_around_layers_take_their_size_where_no_example_comes(tmp_path):
  source = """
    class Model(nn.Module):
      weight_norm: bool = False

      @nn.compact
      def __call__(self, x):
        if self.weight_norm:
          x = nn.WeightNorm(nn.Dense(4))(x)
        else:
          x = nn.Dense(4)(x)
        return nn.Dense(3)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(True), x(2, 6)"])
  assert "layer_instance=nnx.Linear(in_features, 4, rngs=rngs)" in ported.text
