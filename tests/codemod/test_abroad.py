"""Functions of other files that make layers for the class that calls them."""

from __future__ import annotations

from tests.codemod.support import port_and_check

LAYERS = """
  import functools

  import jax.numpy as jnp
  from flax import linen as nn

  EPSILON = 1e-3


  def scaled():
    return nn.initializers.normal(0.3)


  def conv_norm(x, features, train, momentum=0.9):
    '''A convolution and its norm.'''
    x = nn.Conv(features, (3, 3), kernel_init=scaled())(x)
    # normalized at once
    x = nn.BatchNorm(use_running_average=not train, momentum=momentum, epsilon=EPSILON)(x)
    return nn.relu(x)


  def stack(x, widths, train):
    for width in widths:
      x = conv_norm(x, width, train)
    return x


  def with_bias(module, x, name="bias"):
    return x + module.param(name, nn.initializers.ones, (x.shape[-1],))
  """


def test_function_of_another_file_called_in_a_loop(tmp_path):
  files = {
    "pkg/__init__.py": "",
    "pkg/layers.py": LAYERS,
    "pkg/model.py": """
      from flax import linen as nn
      from pkg.layers import conv_norm


      class Model(nn.Module):
        widths: tuple = (7, 5)

        @nn.compact
        def __call__(self, x, train=False):
          for w in self.widths:
            x = conv_norm(x, w, train)
          return nn.Dense(3)(x.mean((1, 2)))
      """,
  }
  ported = port_and_check(
    tmp_path, files, "Model(), x(2, 8, 8, 3)", held_out=["Model((2, 11, 5)), x(2, 6, 6, 4)"], module="pkg.model"
  )
  text = ported.rewriting.sources["pkg.layers"]
  assert "# normalized at once" in text
  assert "'''A convolution and its norm.'''" in text
  assert "def conv_norm(x, train, *, layers):" in text
  assert "from pkg.layers import EPSILON, scaled" in ported.rewriting.sources["pkg.model"]
  assert ported.hoisted == []


def test_functions_that_call_one_another_share_the_layers_of_their_caller(tmp_path):
  files = {
    "pkg/__init__.py": "",
    "pkg/layers.py": LAYERS,
    "pkg/model.py": """
      from flax import linen as nn
      from . import layers as blocks


      class Model(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
          x = blocks.stack(x, (4, 6), train)
          x = blocks.conv_norm(x, 5, train, momentum=0.8)
          return blocks.stack(x, widths=(3,), train=train)
      """,
  }
  port_and_check(tmp_path, files, "Model(), x(2, 8, 8, 3)", held_out=["Model(), x(2, 6, 6, 4)"], module="pkg.model")


def test_function_that_takes_the_module_and_makes_parameters_in_it(tmp_path):
  files = {
    "pkg/__init__.py": "",
    "pkg/layers.py": LAYERS,
    "pkg/model.py": """
      from flax import linen as nn
      from pkg.layers import with_bias


      class Model(nn.Module):
        width: int = 7

        @nn.compact
        def __call__(self, x):
          return with_bias(self, nn.Dense(self.width)(x))
      """,
  }
  ported = port_and_check(tmp_path, files, "Model(), x(2, 5)", held_out=["Model(3), x(2, 6)"], module="pkg.model")
  assert "iter(" not in ported.rewriting.sources["pkg.model"]


def test_names_that_mean_something_else_where_the_class_is(tmp_path):
  files = {
    "pkg/__init__.py": "",
    "pkg/layers.py": LAYERS,
    "pkg/model.py": """
      from flax import linen as nn
      from pkg.layers import conv_norm as block

      EPSILON = 0.5


      def scaled():
        return None


      class Model(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
          return block(x, 5, train=train) + EPSILON
      """,
  }
  port_and_check(tmp_path, files, "Model(), x(2, 8, 8, 3)", held_out=["Model(), x(2, 6, 6, 4)"], module="pkg.model")


def test_two_classes_of_two_files_call_one_function(tmp_path):
  files = {
    "pkg/__init__.py": "",
    "pkg/layers.py": LAYERS,
    "pkg/inner.py": """
      from flax import linen as nn
      from pkg.layers import conv_norm


      class Inner(nn.Module):
        width: int

        @nn.compact
        def __call__(self, x, train):
          return conv_norm(x, self.width, train)
      """,
    "pkg/model.py": """
      from flax import linen as nn
      from pkg.inner import Inner
      from pkg.layers import conv_norm


      class Model(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
          x = Inner(4)(x, train)
          return conv_norm(x, 5, train)
      """,
  }
  port_and_check(tmp_path, files, "Model(), x(2, 8, 8, 3)", held_out=["Model(), x(2, 6, 6, 4)"], module="pkg.model")
