"""Functions that only make layers and return them: they take sizes and rngs, and are called in `__init__`."""

from __future__ import annotations

import re

import pytest

from tests.codemod.support import port_and_check, rewrite


def test_method_that_setup_calls(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 4

      @nn.nowrap
      def make_dense(self, features: int, use_bias: bool = True):
        # one layer
        return nn.Dense(features, use_bias=use_bias)

      def setup(self):
        self.first = self.make_dense(self.width)
        self.second = self.make_dense(3, use_bias=False)

      def __call__(self, x):
        return self.second(nn.relu(self.first(x)))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(7), x(3, 2)"])
  assert "self.second = self.make_dense(3, use_bias=False, in_features=self.width, rngs=rngs)" in ported.text
  assert "def make_dense(self, features: int, use_bias: bool = True, *, in_features, rngs):" in ported.text
  assert ported.hoisted == []


def test_function_of_the_file_that_setup_and_compact_methods_call(tmp_path):
  source = """
    def conv3(features, **kwargs):
      return nn.Conv(features, (3,), **kwargs)

    class Model(nn.Module):
      def setup(self):
        self.first = conv3(4, name="stem")

      @nn.compact
      def __call__(self, x):
        x = nn.relu(self.first(x))
        return conv3(2)(conv3(3, use_bias=False)(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5, 7)", held_out=["Model(), x(3, 4, 5)"])
  assert ported.hoisted == []
  assert "layers=" not in ported.text


def test_function_of_another_file(tmp_path):
  sources = {
    "net/__init__.py": "",
    "net/common.py": """
      import flax.linen as nn

      def dense(features):
        return nn.Dense(features)
      """,
    "net/model.py": """
      import flax.linen as nn
      from .common import dense

      class Model(nn.Module):
        @nn.compact
        def __call__(self, x):
          return dense(3)(nn.relu(dense(4)(x)))
      """,
  }
  ported = port_and_check(tmp_path, sources, "Model(), x(2, 5)", held_out=["Model(), x(3, 2)"], module="net.model")
  assert any("def dense(in_features, features, *, rngs)" in text for text in ported.draft.files.values())


def test_closure_of_setup_called_twice(tmp_path):
  source = """
    class Model(nn.Module):
      widths: Sequence[int] = (4, 3)

      def setup(self):
        def make(features, last):
          if last is None:
            return None
          return nn.Sequential([nn.Dense(features), nn.relu, nn.Dense(last)])

        self.first = make(self.widths[0], 6)
        self.second = make(self.widths[1], 2)
        self.third = make(3, None)

      def __call__(self, x):
        x = self.second(self.first(x))
        return x if self.third is None else self.third(x)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)")


def test_stage_of_blocks(tmp_path):
  source = """
    class Block(nn.Module):
      features: int

      @nn.compact
      def __call__(self, x):
        y = nn.Conv(self.features, (3, 3))(nn.relu(x))
        if x.shape[-1] != self.features:
          x = nn.Conv(self.features, (1, 1))(x)
        return x + y

    class Model(nn.Module):
      depths: Sequence[int] = (2, 1)

      def _make_stage(self, features, depth):
        blocks = [Block(features)]
        for _ in range(1, depth):
          blocks.append(Block(features))
        return nn.Sequential(blocks)

      def setup(self):
        self.first = self._make_stage(4, self.depths[0])
        self.second = self._make_stage(6, self.depths[1])

      def __call__(self, x):
        return self.second(self.first(x)).mean((1, 2))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 4, 4, 3)")


def test_list_of_layers_that_a_method_makes(tmp_path):
  source = """
    class Model(nn.Module):
      def make_layers(self, count):
        return [nn.Dense(4) for _ in range(count)]

      def setup(self):
        self.layers = self.make_layers(2)

      def __call__(self, x):
        for layer in self.layers:
          x = nn.tanh(layer(x))
        return x
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)")


@pytest.mark.parametrize(
  "body",
  ["return nn.Dense(features)(x)", "layer = nn.Dense(features)\n        return nn.relu(layer(x))"],
)
def test_function_that_calls_its_layers_is_no_factory(tmp_path, body):
  source = f"""
    class Model(nn.Module):
      def block(self, x, features):
        {body}

      @nn.compact
      def __call__(self, x):
        return self.block(x, 3)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "rngs=rngs)" not in ported.text.partition("def block")[2].partition("def ")[0]


def test_function_that_no_layer_calls_stays(tmp_path):
  source = """
    class Model(nn.Module):
      features: int = 3

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.features)(x)

    def create(features):
      return Model(features)
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  assert "rngs" not in ported.text.partition("def create")[2]


TWO_WAYS = """
    class Model(nn.Module):
      features: int

      def make(self, count, use_bias, suffix=None):
        names = [f"{i}{suffix or ''}" for i in range(count)]
        layers = []
        for i in range(count):
          layers.append(nn.Dense(self.features, use_bias=use_bias and i == 0, name=names[i]))
        return layers

      @nn.compact
      def __call__(self, x):
        count = x.shape[-2]
        if x.shape[-3] == 2:
          even = self.make(count, True, "+")
          odd = self.make(count, False, "-")
          first = jnp.stack([even[i](x[..., 0, i, :]) for i in range(count)], -2)
          return first + jnp.stack([odd[i](x[..., 1, i, :]) for i in range(count)], -2)
        elif x.shape[-3] == 1:
          dense = self.make(count, True)
          return jnp.stack([dense[i](x[..., i, :]) for i in range(count)], -2)
    """


def test_method_that_is_called_in_a_branch_that_no_example_takes(tmp_path):
  ported = port_and_check(tmp_path, TWO_WAYS, "Model(7), x(3, 2, 5, 11)", "Model(3), x(3, 2, 4, 13)", clean=False)
  assert "self.dense = nnx.List(self.make(count, True, in_features=in_features, rngs=rngs))" in ported.text
  assert any("no example runs this layer" in str(f) for f in ported.findings)
  assert "names" not in ported.text  # they only named layers


def test_branch_that_begins_with_a_size_of_its_own_says_so(tmp_path):
  ported = port_and_check(tmp_path, TWO_WAYS, "Model(7), x(3, 1, 5, 11)", "Model(3), x(3, 1, 4, 13)", clean=False)
  assert "dense = nnx.List(self.make(count, True, in_features=in_features, rngs=rngs))" in ported.text
  assert sum("no example runs this layer" in str(f) for f in ported.findings) == 2


def test_list_of_a_method_that_is_read_stays(tmp_path):
  source = """
    class Model(nn.Module):
      def make(self, count):
        widths = [3 + i for i in range(count)]
        return [nn.Dense(w) for w in widths]

      def setup(self):
        self.layers = self.make(2)

      def __call__(self, x):
        for layer in self.layers:
          x = layer(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "widths = [3 + i for i in range(count)]" in ported.text


def test_a_function_that_makes_a_list_carries_the_width_itself_below_its_docstring(tmp_path):
  source = '''
class Net(nn.Module):
  widths: tuple[int, ...]

  def setup(self):
    self.first = get_layers(self.widths)
    self.mean = get_layers((3, 4))

  def __call__(self, x):
    for layer in [*self.first, *self.mean]:
      x = nn.relu(layer(x))
    return x


def get_layers(widths):
  """Layers of widths."""
  found = []
  for width in widths:
    found.append(nn.Dense(width))
  return found
'''
  ported = port_and_check(tmp_path, source, "Net((7, 11)), x(2, 5)", held_out=["Net((7, 11, 5)), x(3, 9)"])
  assert "def get_layers(widths, *, in_features, rngs):" in ported.text
  assert "layer_features = width" in ported.text


def test_sizes_that_follow_no_layer_come_one_by_one_below_the_docstring(tmp_path):
  source = '''
class Net(nn.Module):
  def setup(self):
    self.parts = get_layers((3, 4))

  def __call__(self, x, y):
    return self.parts[0](x), self.parts[1](y)


def get_layers(widths):
  """Layers of widths."""
  found = []
  for width in widths:
    found.append(nn.Dense(width))
  return found
'''
  ported = port_and_check(tmp_path, source, "Net(), x(2, 5), x(2, 9)")
  assert '"""Layers of widths."""\n  in_features = iter(in_features)\n  found = []' in ported.text


KINDS = """
class Norm(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.LayerNorm()(x)

class Net(nn.Module):
  kind: str = "dense"

  def setup(self):
    self.first = get_layers((3, 4), self.kind)
    self.second = get_layers((4, 6), self.kind)

  def __call__(self, x):
    for layer in [*self.first, *self.second]:
      x = layer(x)
    return x


def get_layers(widths, kind):
  found = []
  for width in widths:
    found.append(nn.Dense(width))
  if kind == "norm":
    found.append(Norm())
  return found
"""


def test_what_only_an_untaken_branch_of_a_function_needs_is_left_out_of_its_calls(tmp_path):
  ported = port_and_check(tmp_path, KINDS, "Net(), x(2, 5)", clean=False)
  header = next(line for line in ported.text.split("\n") if line.startswith("def get_layers"))
  assert header in (
    "def get_layers(widths, kind, *, in_features, norm_in_features=None, rngs):",
    "def get_layers(widths, kind, *, in_features, rngs):",
  )
  assert "norm_in_features=None, rngs=rngs)" not in ported.text.replace(header, "")


def test_layers_on_two_ways_of_a_condition_share_an_argument_where_one_never_ran(tmp_path):
  head, _, _ = KINDS.partition("def get_layers")
  source = (
    head
    + """def get_layers(widths, kind):
  found = []
  if kind == "norm":
    found.append(Norm())
  else:
    found.append(nn.Dense(widths[0]))
  return found
"""
  )
  ported = port_and_check(tmp_path, source, "Net(), x(2, 5)", clean=False)
  assert "def get_layers(widths, kind, *, in_features, rngs):" in ported.text
  assert "found.append(Norm(in_features, rngs=rngs))" in ported.text


def test_a_function_of_setup_that_another_branch_calls(tmp_path):
  source = """
    class Model(nn.Module):
      widths: tuple
      plain: bool = False

      def setup(self):
        def make(width):
          return nn.Dense(width, kernel_init=nn.initializers.ones)

        if self.plain:
          layers = [make(self.widths[-1])]
        else:
          layers = [make(width) for width in self.widths]
        self.layers = layers

      def __call__(self, x):
        for layer in self.layers:
          x = layer(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model((5, 3)), x(2, 7)", clean=False)
  assert re.search(r"make\(\s*self\.widths\[-1\],\s*in_features=.*rngs=rngs", ported.text)
  assert any("no example runs this layer" in f.found for f in ported.rewriting.findings)


def test_function_on_one_line(tmp_path):
  source = """
  class Model(nn.Module):
    def mlp(self, sizes): return nn.Sequential([layer for s in sizes for layer in (nn.Dense(s), nn.relu)][:-1])

    def setup(self):
      self.net = self.mlp([5, 7, 2])

    def __call__(self, x):
      return self.net(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert "def mlp(self, sizes, *, in_features, rngs):\n" in ported.text
