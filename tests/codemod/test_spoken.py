"""Classes of other files that a class speaks of and no example makes."""

from __future__ import annotations

from tests.codemod.support import port_and_check

LAYERS = '''
  import jax
  from flax import linen as nn


  class DropPath(nn.Module):
    """Drops whole samples."""

    rate: float = 0.1

    @nn.compact
    def __call__(self, x, deterministic=True):
      if deterministic or self.rate == 0.0:
        return x
      keep = 1 - self.rate
      mask = jax.random.bernoulli(self.make_rng("dropout"), keep, (x.shape[0], 1, 1, 1))
      return x * mask / keep


  class Squeeze(nn.Module):
    """Scales channels by what they hold."""

    reduction: int = 2

    @nn.compact
    def __call__(self, x):
      y = x.mean(axis=(1, 2), keepdims=True)
      y = nn.relu(nn.Dense(x.shape[-1] // self.reduction)(y))
      return x * nn.sigmoid(nn.Dense(x.shape[-1])(y))


  class Other(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(3)(x)
  '''
MODEL = """
  from flax import linen as nn
  from pkg import layers
  from pkg.layers import DropPath, Other


  class Net(nn.Module):
    width: int
    drop: float = 0.0
    squeeze: bool = False

    @nn.compact
    def __call__(self, x, train=False):
      x = nn.Conv(self.width, (3, 3))(x)
      if self.drop > 0.0:
        x = DropPath(self.drop)(x, deterministic=not train)
      if self.squeeze:
        x = layers.Squeeze()(x)
      return nn.Dense(3)(x)
  """
FILES = {"pkg/__init__.py": "", "pkg/layers.py": LAYERS, "pkg/model.py": MODEL}


def test_classes_of_other_files_are_ported_though_no_example_makes_them(tmp_path):
  held_out = ["Net(7, drop=0.3), x(2, 8, 6, 5)", "Net(5, squeeze=True), x(3, 4, 6, 5)"]
  ported = port_and_check(tmp_path, FILES, "Net(7), x(2, 8, 6, 5)", held_out=held_out, module="pkg.model")
  layers = ported.rewriting.sources["pkg.layers"]
  assert "class DropPath(nnx.Module):" in layers
  assert "class Squeeze(nnx.Module):" in layers
  assert "from pkg_nnx.layers import DropPath" in ported.draft.files["pkg_nnx/model.py"]


def test_what_is_only_imported_stays_where_it_is(tmp_path):
  ported = port_and_check(tmp_path, FILES, "Net(7), x(2, 8, 6, 5)", module="pkg.model")
  assert "class Other(nn.Module):" in ported.rewriting.sources["pkg.layers"]
  assert "Other" not in ported.draft.files["pkg_nnx/layers.py"]


def test_a_file_of_which_no_class_is_named_is_not_opened(tmp_path):
  model = MODEL.replace("DropPath(self.drop)(x, deterministic=not train)", "x * 2").replace("layers.Squeeze()(x)", "x")
  ported = port_and_check(tmp_path, {**FILES, "pkg/model.py": model}, "Net(7), x(2, 8, 6, 5)", module="pkg.model")
  assert set(ported.rewriting.sources) == {"pkg.model"}
