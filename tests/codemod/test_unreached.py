"""Classes that no example runs, and that NNX makes all the same because a class that runs makes them."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

SOURCE = """
class Feed(nn.Module):
  wide: int
  width: int

  def setup(self):
    self.up = nn.Dense(self.wide)
    self.norm = nn.LayerNorm()
    self.down = nn.Dense(self.width)

  def __call__(self, x, train=False):
    y = self.up(x)
    y = self.norm(nn.relu(y))
    return self.down(y)

class Decoder(nn.Module):
  width: int

  def setup(self):
    self.feed = Feed(3 * self.width, self.width)
    layers = []
    for _ in range(2):
      layers.append(nn.Dense(self.width))
    self.layers = layers

  def __call__(self, x):
    x = self.feed(x)
    for layer in self.layers:
      x = layer(x)
    return x

class Model(nn.Module):
  width: int = 7

  def setup(self):
    self.first = nn.Dense(self.width)
    self.decoder = Decoder(self.width)

  def encode(self, x):
    return self.first(x)

  def __call__(self, x):
    return self.decoder(self.encode(x))
"""


def test_parts_that_only_another_method_runs_are_ported(tmp_path):
  ported = port_and_check(tmp_path, SOURCE, "Example(Model(), (x(2, 5),), method='encode')", clean=False)
  assert "nn.Module" not in ported.text.replace("nnx.Module", "")
  assert "self.norm = nnx.LayerNorm(self.wide, rngs=rngs)" in ported.text
  assert "self.down = nnx.Linear(self.wide, self.width, rngs=rngs)" in ported.text
  assert "self.layers = nnx.List(layers)" in ported.text
  assert {f.severity for f in ported.findings} <= {"note", "eye"}


def test_class_in_a_branch_that_no_example_takes(tmp_path):
  source = """
    class Wide(nn.Module):
      features: int

      @nn.compact
      def __call__(self, x):
        x = nn.Dense(4 * self.features)(x)
        return nn.Dense(self.features)(nn.relu(x))

    class Model(nn.Module):
      wide: bool = False

      @nn.compact
      def __call__(self, x):
        if self.wide:
          return Wide(7)(x)
        return nn.Dense(7)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", clean=False)
  assert "nnx.Linear(4 * self.features, self.features, rngs=rngs)" in ported.text
  assert (
    "class Wide(nnx.Module):\n  def __init__(self, in_features: int, features: int, *, rngs: nnx.Rngs):" in ported.text
  )


def test_classes_that_fields_hold_are_made_in_branches_that_no_example_takes(tmp_path):
  source = """
    class Torso(nn.Module):
      width: int = 4

      @nn.compact
      def __call__(self, x):
        return nn.relu(nn.Dense(self.width)(x))

    class Model(nn.Module):
      shared: bool = False
      torso: Callable[..., nn.Module] = Torso
      norm: Any = nn.LayerNorm

      @nn.compact
      def __call__(self, x):
        if self.shared:
          policy = value = self.torso(name="torso")(x)
        else:
          policy, value = self.torso(name="policy")(x), self.torso(name="value")(x)
          policy = self.norm()(policy)
        return nn.Dense(3)(policy), nn.Dense(1)(value)
    """
  ported = port_and_check(tmp_path, source, "Model(True), x(2, 6)", held_out=["Model(False), x(3, 5)"])
  assert "    else:\n      self.policy = self.torso(in_features, rngs=rngs)\n" in ported.text
  assert "self.norm_1 = self.norm(" in ported.text


def test_modules_that_fields_hold_are_no_classes(tmp_path):
  source = """
    class Model(nn.Module):
      layer: nn.Module
      deep: bool = False

      @nn.compact
      def __call__(self, x):
        x = self.layer(x)
        if self.deep:
          x = self.layer(x) + nn.Dense(6)(x)
        return x
    """
  port_and_check(tmp_path, source, "Model(nn.Dense(6)), x(2, 6)", clean=False)


LOCAL_CLASS = """
    class Layer(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x, flag):
        return x + nn.Dense(x.shape[-1])(nn.relu(nn.Dense(self.width)(x)))

    class Model(nn.Module):
      width: int = 6
      depth: int = 2
      shared: bool = True
      remat: bool = True

      @nn.compact
      def __call__(self, x, flag=True):
        block = Layer
        if self.remat:
          block = nn.remat(block, static_argnums=(2,))
        x = nn.Dense(5)(x)
        if self.shared:
          x = block(self.width, name="one")(x, flag)
        else:
          for i in range(self.depth):
            x = block(self.width, name=f"layer_{i}")(x, flag)
        return nn.LayerNorm()(x)
    """


@pytest.mark.parametrize("remat", [True, False])
def test_classes_that_locals_hold_are_made_in_branches_that_no_example_takes(tmp_path, remat):
  example = f"Model(remat={remat}), x(2, 4)"
  ported = port_and_check(tmp_path, LOCAL_CLASS, example, held_out=["Model(7, 3, False), x(2, 3)"])
  assert "        self.layer.append(block(5, self.width, rngs=rngs))\n" in ported.text
  assert "for layer in self.layer:\n        x = layer(x, flag)" in ported.text
  assert "block = Layer" not in ported.text.partition("def __call__(self, x, flag=True)")[2]


POST_INIT = """
class Deep(nn.Module):
  width: int = 3

  def __post_init__(self):
    super().__post_init__()
    parts = []
    for _ in range(2):
      parts.append(self.width)
    self.widths = parts

  @nn.compact
  def __call__(self, x):
    for width in self.widths:
      x = nn.Dense(width)(x)
    return x

class Net(nn.Module):
  deep: bool = False

  @nn.compact
  def __call__(self, x):
    x = nn.Dense(4)(x)
    return Deep()(x) if self.deep else x
"""


def test_a_list_of_locals_in_post_init_that_no_example_reaches_is_no_crash(tmp_path):
  ported = port_and_check(tmp_path, POST_INIT, "Net(), x(2, 5)", clean=False)
  assert "class Deep(nnx.Module)" in ported.text
