"""Functions and methods that make layers for their caller."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite


def test_helper_method_called_once_keeps_plain_attributes(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 7

      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(self.encode(x))

      def encode(self, x):
        x = nn.relu(nn.Dense(self.width)(x))
        return nn.LayerNorm()(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(11), x(2, 3)"])
  assert "iter(" not in ported.text


def test_helper_method_called_twice_takes_its_layers_in_order(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = self.layer(x, 7)
        return self.layer(x, 3)

      def layer(self, x, features):
        return nn.relu(nn.Dense(features)(x))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 11)"])


def test_helper_method_called_in_a_loop(tmp_path):
  source = """
    class Model(nn.Module):
      features: Sequence[int] = (7, 5)

      @nn.compact
      def __call__(self, x):
        for f in self.features:
          x = self.layer(x, f)
        return x

      def layer(self, x, features):
        x = nn.Dense(features)(x)
        return nn.relu(nn.LayerNorm()(x))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model((2, 11, 5)), x(2, 7)"])


def test_closure_that_makes_layers(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 7

      @nn.compact
      def __call__(self, x):
        def block(y, features):
          y = nn.Dense(features)(y)
          return nn.relu(y)

        x = block(x, self.width)
        return block(x, 3)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(11), x(2, 2)"])


def test_lambda_that_makes_a_layer(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        dense = lambda name: nn.Dense(5, name=name)
        return dense("a")(x) + dense("b")(x)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(), x(2, 7)"])


def test_function_of_the_module_that_makes_layers(tmp_path):
  source = """
    def mlp(x, features):
      for f in features:
        x = nn.relu(nn.Dense(f)(x))
      return x

    class Model(nn.Module):
      features: Sequence[int] = (7, 5)

      @nn.compact
      def __call__(self, x):
        return mlp(x, self.features)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model((2, 11)), x(2, 5)"])


def test_factory_at_the_top_of_the_file(tmp_path):
  source = """
    def make_norm(kind):
      return nn.LayerNorm() if kind == "layer" else nn.RMSNorm()

    class Model(nn.Module):
      kind: str = "layer"

      @nn.compact
      def __call__(self, x):
        return make_norm(self.kind)(nn.Dense(7)(x))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 3)"])


def test_closure_without_layers_stays_as_it_is(tmp_path):
  closure = """    def shift(v, by=1):
      # moved
      return v + by
"""
  source = f"""
class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
{closure}
    return nn.Dense(3)(shift(x))
"""
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  assert closure in ported.text


def test_method_without_layers_stays_as_it_is(tmp_path):
  method = """  def scale(self, x):
    return x * self.factor
"""
  source = f"""
class Model(nn.Module):
  factor: float = 2.0

  @nn.compact
  def __call__(self, x):
    return self.scale(nn.Dense(3)(x))

{method}"""
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert method in ported.text


def test_closure_called_in_a_loop_with_the_number_of_the_round(tmp_path):
  source = (
    """
    class Model(nn.Module):
      widths: tuple = (5, 7)

      @nn.compact
      def __call__(self, x):
        """
    + '"""Runs every layer."""'
    + """
        def update(i, x):
          x = nn.Dense(self.widths[i], name=f"hidden{i}")(x)
          return nn.relu(x) if i < 1 else x

        for i in range(len(self.widths)):
          x = update(i, x)
        return x
    """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model((4, 6, 9)), x(2, 5)"])
  assert ported.hoisted == []
  assert ported.text.index("Runs every layer.") < ported.text.index("= iter(self.")


def test_method_that_is_given_the_module_and_makes_a_parameter_in_it(tmp_path):
  source = """
    class Norm(nn.Module):
      use_scale: bool = True

      @nn.compact
      def __call__(self, x):
        return self._normalize(self, x, self.use_scale)

      def _normalize(self, mdl, x, use_scale):
        y = x / jnp.sqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-6)
        if use_scale:
          y *= mdl.param("scale", nn.initializers.ones, (x.shape[-1],))  # one a feature
        return y
    """
  ported = port_and_check(tmp_path, source, "Norm(), x(2, 5)", held_out=["Norm(), x(2, 7)"])
  assert "y *= mdl.scale[...]  # one a feature" in ported.text
  assert ported.hoisted == []


def test_helper_method_with_parameters_that_a_method_without_examples_calls_too(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, y=None):
        if y is not None:
          return self.both(x, y)
        return self.one(x)

      def scale(self, x):
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        return x * scale

      def both(self, x, y):
        return self.scale(x) + y

      def one(self, x):
        return self.scale(x) + 1
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(3, 7)"])
  assert ported.text.count("nnx.Param(") == 1
  assert "nnx.List" not in ported.text


def test_closure_that_both_branches_call_fills_one_list_begun_before_the_condition(tmp_path):
  source = """
    class Model(nn.Module):
      parts: bool = True
      used: bool = True

      @nn.compact
      def __call__(self, x):
        def embed(width):
          return nn.relu(nn.Dense(width)(x))

        if self.used:
          if self.parts:
            first, second = embed(3), embed(4)
            x = jnp.concatenate([first, second], axis=-1)
          else:
            x = embed(7)
        return x * 2
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", "Model(False), x(2, 6)", "Model(used=False), x(2, 5)")
  begun = ported.text.index("self.embed_layers = nnx.List([])")
  assert ported.text.count("nnx.List([])") == 1
  assert begun < ported.text.index("if self.used:")


@pytest.mark.parametrize(
  "dense",
  [
    "def dense(features, **kwargs):\n          return nn.Dense(features, use_bias=False, **kwargs)",
    "dense = lambda features: nn.Dense(features, use_bias=False)",
  ],
)
def test_a_function_of_a_method_that_calls_what_another_of_its_functions_makes(tmp_path, dense):
  source = f"""
    class Model(nn.Module):
      width: int = 5

      @nn.compact
      def __call__(self, x):
        {dense}

        def block(x, features):
          return nn.relu(dense(features)(x))

        x = block(x, self.width)
        return block(x, self.width * 2)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(4), x(2, 6)"])
  assert "self.block_layers.append(dense(self.width, self.width * 2))" in ported.text
  assert ported.hoisted == []


def test_a_function_that_calls_those_it_is_given_makes_no_layers_itself(tmp_path):
  source = """
    def net(first, second):
      def run(x):
        return second(first(x))
      return run

    class Model(nn.Module):
      width: int = 5

      @nn.compact
      def __call__(self, x):
        def edge(e):
          return nn.Dense(self.width)(e)
        def node(e):
          return nn.relu(nn.Dense(self.width + 1)(e))
        return nn.Dense(2)(net(edge, node)(x))
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(4), x(2, 6)"])
  assert "net(edge, node)(x)" in ported.text
  assert "_layers" not in ported.text


def test_a_call_of_a_helper_as_an_argument_of_a_layer_is_read_once(tmp_path):
  source = """
    class Model(nn.Module):
      widths: tuple = (7, 5)

      @nn.compact
      def __call__(self, x):
        def torso(x):
          for width in self.widths:
            x = nn.tanh(nn.Dense(width)(x))
          return x
        return nn.Dense(3)(torso(x)), nn.Dense(1)(torso(x))
    """
  held_out = ["Model((4,)), x(2, 5)", "Model((4, 6, 5)), x(2, 5)"]
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=held_out)
  assert ported.text.count("self.torso_layers.append(") == 2
