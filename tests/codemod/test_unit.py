"""What a class's rewriting asks: names, partials as fields, flags that calls give now."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

SPELLINGS = {
  "import flax.linen as nn": ("import flax.linen as nn", "nn."),
  "from flax import linen as nn": ("from flax import linen as nn", "nn."),
  "from flax import linen": ("from flax import linen", "linen."),
  "import flax.linen": ("import flax.linen", "flax.linen."),
  "import flax": ("import flax\nimport flax.linen", "flax.linen."),
  "from flax.linen import names": (
    "from flax.linen import BatchNorm, Dense, Dropout, Module, compact, initializers, relu",
    "",
  ),
  "an alias": ("import flax.linen as layers_of_flax", "layers_of_flax."),
}
MODEL = """
{statement}


class Model({nn}Module):
  features: int = 7

  @{nn}compact
  def __call__(self, x, train: bool = False):
    x = {nn}Dense(self.features, kernel_init={nn}initializers.normal(0.02))(x)
    x = {nn}relu({nn}BatchNorm(use_running_average=not train)(x))
    return {nn}Dropout(0.1)(x, deterministic=not train)
"""
FILE = {"model.py": ""}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_import_spelling_gives_the_same_class(tmp_path, spelling):
  statement, nn = SPELLINGS[spelling]
  ported = port_and_check(tmp_path, {"model.py": MODEL.format(statement=statement, nn=nn)}, "Model(), x(2, 5)")
  assert "class Model(nnx.Module):" in ported.text
  assert "self.dense = nnx.Linear(" in ported.text
  assert "kernel_init=nnx.initializers.normal(0.02)" in ported.text
  assert "linen" not in ported.text
  assert ported.text.count("from flax import nnx") == 1


def test_names_under_aliases(tmp_path):
  source = {
    "model.py": """
    from flax.linen import Dense as Fully, Module as Base, compact as c, gelu as activate


    class Model(Base):
      @c
      def __call__(self, x):
        return activate(Fully(3)(x))
    """
  }
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "self.fully = nnx.Linear(" in ported.text or "self.dense = nnx.Linear(" in ported.text


def test_layers_re_exported_by_the_project(tmp_path):
  files = {
    "pkg/__init__.py": "",
    "pkg/common.py": "from flax import linen as nn\n\nDense = nn.Dense\nact = nn.relu\n",
    "pkg/model.py": """
    from flax import linen as nn

    from pkg.common import Dense, act


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return act(Dense(3)(x))
    """,
  }
  port_and_check(tmp_path, files, "Model(), x(2, 5)", module="pkg.model")


def test_name_that_only_looks_like_a_layer_is_left_alone(tmp_path):
  source = """
    class Dense:
      def __init__(self, n):
        self.n = n

      def __call__(self, x):
        return x * self.n

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(Dense(2)(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "Dense(2)(x)" in ported.text.partition("def __call__(self, x):\n        return x")[0] + ported.text


def test_initializers_and_activations_as_fields(tmp_path):
  source = """
    class Model(nn.Module):
      kernel_init: Callable = nn.initializers.xavier_uniform()
      act: Callable = nn.silu

      @nn.compact
      def __call__(self, x):
        return self.act(nn.Dense(3, kernel_init=self.kernel_init)(x))
    """
  ported = port_and_check(
    tmp_path, source, "Model(), x(2, 5)", held_out=["Model(nn.initializers.ones, nn.tanh), x(2, 3)"]
  )
  assert "kernel_init: Callable = nnx.initializers.xavier_uniform()" in ported.text


def test_two_layers_of_one_name_get_two_attributes(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        y = nn.Dense(7)(x)
        z = nn.Dense(7)(x)
        return y * z
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "self.dense = " in ported.text
  assert "self.dense_1 = " in ported.text


@pytest.mark.parametrize("name", ["train", "eval", "rngs", "sow", "encode", "class_"])
def test_attributes_that_are_taken_are_avoided(tmp_path, name):
  source = f"""
class Model(nn.Module):
  def encode(self, x):
    return x

  @nn.compact
  def __call__(self, x):
    {name} = nn.Dense(7)
    return {name}(self.encode(x))
"""
  port_and_check(tmp_path, source, "Model(), x(2, 5)")


def test_class_variables_that_are_none(tmp_path):
  source = """
    class Model(nn.Module):
      dtype = None
      param_dtype = jnp.float32

      @nn.compact
      def __call__(self, x):
        dense = functools.partial(nn.Dense, 7, dtype=self.dtype, param_dtype=self.param_dtype)
        return dense()(nn.relu(dense()(x)))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "dtype=self.dtype, param_dtype=self.param_dtype" in ported.text


def test_other_names_of_initializers_stay(tmp_path):
  source = """
    default_init = nn.initializers.xavier_uniform
    activation = nn.gelu

    class Model(nn.Module):
      features: int

      @nn.compact
      def __call__(self, x):
        return activation(nn.Dense(self.features, kernel_init=default_init())(x))
    """
  ported = port_and_check(tmp_path, source, "Model(3), x(2, 6)", held_out=["Model(4), x(2, 5)"])
  assert "default_init = nnx.initializers.xavier_uniform\nactivation = nnx.gelu\n" in ported.text
  assert "kernel_init=default_init()" in ported.text
  assert "return activation(self.dense(x))" in ported.text


def test_other_names_of_initializers_in_another_file(tmp_path):
  files = {
    "pkg/__init__.py": "",
    "pkg/base.py": """
      from typing import Any

      from flax import linen as nn

      default_init = nn.initializers.xavier_uniform

      class Base(nn.Module):
        features: int
        init: Any = default_init

        @nn.compact
        def __call__(self, x):
          return nn.Dense(self.features, kernel_init=self.init())(x)
      """,
    "pkg/model.py": """
      from flax import linen as nn

      from pkg.base import Base, default_init

      class Model(Base):
        @nn.compact
        def __call__(self, x):
          return nn.Dense(self.features, kernel_init=default_init())(nn.relu(Base(self.features)(x)))
      """,
  }
  ported = port_and_check(tmp_path, files, "Model(3), x(2, 6)", held_out=["Model(4), x(2, 5)"], module="pkg.model")
  assert "init: Any = default_init" in ported.rewriting.sources["pkg.base"]
  assert "default_init = nnx.initializers.xavier_uniform\n" in ported.rewriting.sources["pkg.base"]
