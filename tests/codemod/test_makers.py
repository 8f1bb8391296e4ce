"""Functions that make a layer and return it uncalled."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

CONV = '''
def conv3x3(features, stride=1):
  """A 3x3 convolution."""
  return nn.Conv(features, (3, 3), strides=(stride, stride), use_bias=False)

class Model(nn.Module):
  width: int = 6

  @nn.compact
  def __call__(self, x):
    x = nn.relu(conv3x3(self.width)(x))
    return conv3x3(4, stride=2)(x)
'''


def test_function_keeps_its_place_and_gets_sizes_and_rngs(tmp_path):
  ported = port_and_check(tmp_path, CONV, "Model(), x(2, 4, 4, 3)", held_out=["Model(9), x(2, 6, 6, 5)"])
  assert "def conv3x3(in_features, features, stride=1, *, rngs):" in ported.text
  assert '"""A 3x3 convolution."""' in ported.text
  assert "self.conv3x3 = conv3x3(in_features, self.width, rngs=rngs)" in ported.text
  assert ported.hoisted == []


def test_branches_of_a_function_share_one_size(tmp_path):
  source = """
    def make_norm(kind: str, **kwargs) -> nn.Module:
      if kind == "layer":
        return nn.LayerNorm(**kwargs)
      return nn.RMSNorm(**kwargs)

    class Model(nn.Module):
      kinds: Sequence[str] = ("layer", "rms")

      @nn.compact
      def __call__(self, x):
        for kind in self.kinds:
          x = make_norm(kind, epsilon=1e-3)(nn.Dense(7)(x))
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(('rms',)), x(2, 11)"])
  assert "def make_norm(num_features: int, kind: str, *, rngs: nnx.Rngs, **kwargs) -> nnx.Module:" in ported.text


def test_function_called_in_setup(tmp_path):
  source = """
    def dense(features, name=None):
      return nn.Dense(features, kernel_init=nn.initializers.orthogonal(), name=name)

    class Model(nn.Module):
      width: int = 7

      def setup(self):
        self.hidden = dense(self.width)
        self.blocks = [dense(w) for w in (5, 6)]

      def __call__(self, x):
        x = self.hidden(x)
        for block in self.blocks:
          x = block(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(11), x(2, 4)"])
  assert "name" not in ported.text.partition("class Model")[0].partition("def dense")[2]


def test_flag_of_the_call_leaves_the_function(tmp_path):
  source = """
    def norm(train, momentum=0.9):
      return nn.BatchNorm(use_running_average=not train, momentum=momentum)

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, train=False):
        return norm(train)(nn.Dense(7)(x))
    """
  ported = port_and_check(
    tmp_path,
    source,
    "Example(Model(), (x(8, 5),), calls=(Call((x(8, 5),), {'train': True}, mutable=['batch_stats']),))",
  )
  assert "(self.dense(x), use_running_average=not train)" in ported.text
  assert "train" not in ported.text.partition("class Model")[0].partition("def norm")[2]


def test_function_of_another_file(tmp_path):
  files = {
    "pkg/__init__.py": "",
    "pkg/layers.py": """
      from flax import linen as nn

      def dense(features):
        return nn.Dense(features, use_bias=False)
      """,
    "pkg/model.py": """
      from flax import linen as nn
      from pkg.layers import dense

      class Model(nn.Module):
        @nn.compact
        def __call__(self, x):
          return dense(3)(nn.relu(dense(7)(x)))
      """,
  }
  port_and_check(tmp_path, files, "Model(), x(2, 5)", module="pkg.model", include=["pkg"])


def test_function_that_makes_a_class_of_the_project(tmp_path):
  source = """
    class Block(nn.Module):
      features: int

      @nn.compact
      def __call__(self, x):
        return nn.relu(nn.Dense(self.features)(x))

    def block(features):
      return Block(features=features)

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return block(3)(block(7)(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 4)"])
  assert ported.hoisted == []


@pytest.mark.parametrize(
  "line",
  [
    "dense = lambda name: nn.Dense(5, name=name)",
    "dense = lambda name: nn.Dense(self.width, name=name)",
  ],
)
def test_lambda_of_a_method(tmp_path, line):
  source = f"""
class Model(nn.Module):
  width: int = 6

  @nn.compact
  def __call__(self, x):
    {line}
    return dense(name="a")(x) + dense(name="b")(x)
"""
  port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(), x(2, 7)"])


def test_closure_reads_fields_and_locals(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 6

      @nn.compact
      def __call__(self, x):
        half = self.width // 2

        def dense(scale):
          # halves
          return nn.Dense(half * scale)

        return dense(3)(nn.relu(dense(2)(x)))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(10), x(2, 7)"])


def test_function_that_calls_its_layer_is_no_factory(tmp_path):
  source = """
    def mlp(x, features):
      return nn.relu(nn.Dense(features)(x))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return mlp(x, 7)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "rngs" not in ported.text.partition("class Model")[0].partition("def mlp")[2]


def test_function_that_makes_no_layer_stays_as_it_is(tmp_path):
  function = """def width_of(config, scale=2):
  # wide
  return config * scale
"""
  source = f"""
{function}

class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.Dense(width_of(3))(x)
"""
  assert function in rewrite(tmp_path, source, "Model(), x(2, 5)").text


def test_function_that_hands_its_arguments_on_and_layers_chosen_in_parentheses(tmp_path):
  source = """
    def norm(kind, *args, **kwargs):
      if kind == "rms":
        return nn.RMSNorm(*args, **kwargs)
      return nn.LayerNorm(*args, **kwargs)


    class Gated(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(nn.Dense(9)(x) * nn.sigmoid(nn.Dense(9)(x)))


    class Plain(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(x)


    class Model(nn.Module):
      gated: bool = True

      @nn.compact
      def __call__(self, x):
        x = norm("rms", epsilon=1e-5)(nn.Dense(7)(x))
        block = (
          Gated(
            width=7,
          )
          if self.gated
          else Plain(
            width=7,
          )
        )
        return norm("layer", use_scale=self.gated)(x + block(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(False), x(2, 3)"])
  assert ported.hoisted == []


def test_function_whose_stars_nobody_fills_in_a_branch_that_no_example_takes(tmp_path):
  source = """
    def norm(kind, *args, **kwargs):
      if kind == "group":
        return nn.GroupNorm(2, *args, **kwargs)
      return nn.LayerNorm(*args, **kwargs)


    class Model(nn.Module):
      kind: str = "layer"

      @nn.compact
      def __call__(self, x):
        x = nn.Dense(4)(x)
        return norm(self.kind, epsilon=1e-5)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=['Model("group"), x(2, 6)'])
  assert "def norm(num_features, kind, *, rngs, **kwargs):" in ported.text


def test_layers_appended_in_a_loop_are_told_what_the_one_before_gives(tmp_path):
  source = """
    def make_layers(count, width, activation=None, norm=False):
      layers = []
      for i in range(count):
        layers.append(nn.Dense(width, name=f"fc_{i}"))
        if norm:
          layers.append(nn.LayerNorm())
        if activation is not None:
          layers.append(activation)
      return nn.Sequential(layers)

    class Model(nn.Module):
      width: int = 6
      depth: int = 2

      @nn.compact
      def __call__(self, x):
        body = make_layers(self.depth, self.width, nn.relu, norm=True)
        return nn.Sequential([body, nn.Dense(1)])(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", "Model(9, 3), x(2, 4)")
  assert "layers_features = in_features" in ported.text
  assert "layers_features = width" in ported.text
  assert ported.hoisted == []
