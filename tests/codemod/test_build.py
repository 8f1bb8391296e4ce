"""`ported.py`: the examples' models from text."""

from __future__ import annotations

import ast

from flax import nnx

from migrate.workflows.port_files import importing
from tests.codemod.support import draft, importable, port_and_check, rewrite

MLP = """
class Model(nn.Module):
  features: Sequence[int] = (7, 3)
  act: Callable = nn.relu
  norm: Any = nn.LayerNorm

  @nn.compact
  def __call__(self, x):
    for f in self.features:
      x = self.norm()(self.act(nn.Dense(f)(x)))
    return x
"""


def test_defaults_are_left_out(tmp_path):
  ported = port_and_check(tmp_path, MLP, "Model(), x(2, 5)")
  text = ported.draft.files["ported.py"]
  assert "features=(7, 3)" not in text
  assert "in_features=5" in text


def test_values_are_written_without_linen(tmp_path):
  ported = port_and_check(tmp_path, MLP, "Model((11,), nn.gelu, nn.RMSNorm), x(2, 5)")
  text = ported.draft.files["ported.py"]
  assert "nnx.gelu" in text or "jax.nn.gelu" in text
  assert "RMSNorm" in text
  assert "linen" not in text


def test_one_function_for_each_example(tmp_path):
  ported = rewrite(tmp_path, MLP, "Model(), x(2, 5)", "Model((2, 2)), x(2, 3)")
  with importable(ported.folder):
    draft(ported)
  tree = ast.parse(ported.draft.files["ported.py"])
  assert [n.name for n in tree.body if isinstance(n, ast.FunctionDef)] == ["build_example0", "build_example1"]


def test_build_gives_a_live_model(tmp_path):
  ported = port_and_check(tmp_path, MLP, "Model(), x(2, 5)")
  with importing(ported.out) as load:
    model = load("ported").build_example(nnx.Rngs(0))
  assert isinstance(model, nnx.Module)
  assert model.features == (7, 3)


def test_modules_inside_modules(tmp_path):
  source = """
    class Residual(nn.Module):
      inner: nn.Module

      def __call__(self, x):
        return x + self.inner(x)
    """
  ported = port_and_check(tmp_path, source, "Residual(Residual(nn.Dense(5, use_bias=False))), x(2, 5)")
  text = ported.draft.files["ported.py"]
  assert "inner=Residual(" in text
  assert "nnx.Linear(" in text


def test_stock_layer_as_the_whole_example(tmp_path):
  source = """
    class Model(nn.Module):
      layers: Sequence[Any] = ()

      @nn.compact
      def __call__(self, x):
        for layer in self.layers:
          x = layer(x)
        return x
    """
  port_and_check(tmp_path, source, "Model((nn.Dense(7), nn.relu, nn.Dense(3))), x(2, 5)")


def test_partials_as_values(tmp_path):
  source = """
    class Model(nn.Module):
      dense: Any = None

      @nn.compact
      def __call__(self, x):
        return self.dense(features=3)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(functools.partial(nn.Dense, use_bias=False)), x(2, 5)")
  assert "partial(nnx.Linear, use_bias=False)" in ported.draft.files["ported.py"]


def test_configuration_object_of_the_project(tmp_path):
  files = {
    "pkg/__init__.py": "",
    "pkg/config.py": """
    import dataclasses


    @dataclasses.dataclass
    class Config:
      width: int = 7
      names: tuple = ("a", "b")
    """,
    "pkg/model.py": """
    from flax import linen as nn

    from pkg.config import Config


    class Model(nn.Module):
      config: Config

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.config.width)(x)
    """,
  }
  ported = port_and_check(tmp_path, files, "Model(Config(11)), x(2, 5)", module="pkg.model")
  assert "Config(" in ported.draft.files["ported.py"]


def test_a_model_of_a_class_that_a_transform_made_is_built_by_its_name(tmp_path):
  source = """
    class Net(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        return jnp.mean(nn.Dense(self.width)(x), axis=0)

    BatchNet = nn.vmap(Net, variable_axes={"params": None}, split_rngs={"params": False})
  """
  ported = port_and_check(tmp_path, source, "BatchNet(7), x(3, 4, 5)")
  assert any("BatchNet = vmap(Net" in text for text in ported.rewriting.sources.values())


def test_root_that_is_a_layer_of_linen_s(tmp_path):
  source = """
    class Block(nn.Module):
      width: int = 4

      @nn.compact
      def __call__(self, x):
        return nn.relu(nn.Dense(self.width)(x))
    """
  port_and_check(tmp_path, source, "nn.Sequential([Block(), nn.Dense(3)]), x(2, 5)")


def test_field_with_a_dict_of_layers(tmp_path):
  source = """
    class Head(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(x)

    class Agent(nn.Module):
      networks: dict[str, nn.Module]

      def __call__(self, x):
        return {name: network(x) for name, network in self.networks.items()}
    """
  ported = port_and_check(tmp_path, source, 'Agent({"actor": Head(2), "critic": Head(1)}), x(2, 5)')
  assert "self.networks = nnx.Dict(networks)" in ported.text


def test_lifted_class_in_a_field_is_told_how_many(tmp_path):
  source = """
    class One(nn.Module):
      size: int

      @nn.compact
      def __call__(self, u):
        return u * self.param("scale", nn.initializers.normal(), (self.size,)).sum()

    def copies(layer):
      return nn.vmap(layer, in_axes=1, out_axes=1, variable_axes={"params": 0}, split_rngs={"params": True})

    def make(size):
      return functools.partial(copies(One), size=size)

    class Model(nn.Module):
      layer: Callable[..., nn.Module]

      @nn.compact
      def __call__(self, x):
        return self.layer()(x)
    """
  ported = port_and_check(tmp_path, source, "Model(make(3)), x(5, 6)", held_out=["Model(make(2)), x(4, 7)"])
  assert "axis_size=6" in " ".join(ported.draft.files["ported.py"].split())


def test_lifted_class_at_the_top_of_a_file_is_told_how_many(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(x)

    Models = nn.vmap(Model, in_axes=0, out_axes=0, variable_axes={"params": 0}, split_rngs={"params": True})
    Shared = nn.vmap(Model, in_axes=0, out_axes=0, variable_axes={"params": None}, split_rngs={"params": False})
    """
  ported = port_and_check(tmp_path, source, "Models(), x(5, 4)", held_out=["Models(), x(2, 7)"])
  assert "Models(in_features=4, axis_size=5, rngs=rngs)" in " ".join(ported.draft.files["ported.py"].split())
  alone = port_and_check(tmp_path / "shared", source, "Shared(), x(5, 4)")
  assert "axis_size" not in alone.draft.files["ported.py"]


def test_subclass_of_a_layer_in_a_field_is_told_its_sizes(tmp_path):
  source = """
    class Checked(nn.GroupNorm):
      @nn.compact
      def __call__(self, x, mask=None):
        if mask is not None:
          raise ValueError("no masks")
        return super().__call__(x, mask=mask)

    class Scaled(nn.Dense):
      scale: float = 2.0

      def __call__(self, x):
        return super().__call__(x) * self.scale

    class Model(nn.Module):
      norm: nn.Module
      head: nn.Module

      @nn.compact
      def __call__(self, x):
        return self.head(self.norm(nn.Dense(12)(x)))
    """
  example = "Model(Checked(3, use_bias=False), Scaled(5, use_bias=False, scale=3.0)), x(2, 7)"
  ported = port_and_check(tmp_path, source, example)
  text = ported.draft.files["ported.py"]
  assert "norm=Checked(num_features=12, num_groups=3, use_bias=False, rngs=rngs)" in text
  assert "head=Scaled(in_features=12, out_features=5, use_bias=False, scale=3.0, rngs=rngs)" in text
