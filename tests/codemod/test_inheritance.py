"""Fields, methods and constructors along the bases of a class."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_inheritance_of_fields_and_methods(tmp_path):
  source = '''
    class Base(nn.Module):
      """What both have."""
      features: int = 7

      def activate(self, x):
        return nn.relu(x)

    class Model(Base):
      classes: int = 3

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.classes)(self.activate(nn.Dense(self.features)(x)))
    '''
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(features=11, classes=2), x(2, 3)"])
  assert "class Model(Base):" in ported.text


def test_inheritance_with_super_setup(tmp_path):
  source = """
    class Base(nn.Module):
      width: int = 7

      def setup(self):
        self.first = nn.Dense(self.width)

      def __call__(self, x):
        return nn.relu(self.first(x))

    class Model(Base):
      classes: int = 3

      def setup(self):
        super().setup()
        self.second = nn.Dense(self.classes)

      def __call__(self, x):
        return self.second(super().__call__(x))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(11, 2), x(2, 3)"])


def test_subclass_that_only_changes_defaults(tmp_path):
  source = """
    class Mlp(nn.Module):
      features: Sequence[int] = (7, 3)

      @nn.compact
      def __call__(self, x):
        for f in self.features:
          x = nn.Dense(f)(x)
        return x

    class Model(Mlp):
      features: Sequence[int] = (5, 2)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 11)", held_out=["Model((3,)), x(2, 2)"])


def test_class_that_only_a_subclass_hands_to_its_base_is_known_when_the_base_is_written(tmp_path):
  source = """
    class Narrow(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(x)


    class Block(nn.Module):
      skip: Any = Narrow

      @nn.compact
      def __call__(self, x):
        return nn.relu(nn.Dense(7)(x)) + self.skip()(x)


    class Wide(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(7)(nn.tanh(x))


    class WideBlock(Block):
      skip: Any = Wide


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return WideBlock()(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 4)"])
  assert "self.skip(in_features, rngs=rngs)" in ported.text


def test_subclass_with_its_own_setup_inherits_methods_that_draw_keys(tmp_path):
  source = """
    class Base(nn.Module):
      width: int = 7

      def setup(self):
        self.layer = nn.Dense(self.width)

      def noisy(self, x):
        return x + jax.random.normal(self.make_rng("noise"), x.shape)

      def __call__(self, x, noise=False):
        x = self.layer(x)
        return self.noisy(x) if noise else x


    class Model(Base):
      def setup(self):
        self.layer = nn.Dense(self.width, use_bias=False)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", clean=False)  # no example draws keys
  assert "self.rngs = rngs.fork()" in ported.text.partition("class Model(Base)")[2]


def test_subclass_with_a_compact_method_of_its_own_has_the_layers_of_the_base_setup(tmp_path):
  source = """
    class MLP(nn.Module):
      sizes: Any
      rate: float = 0.0

      def setup(self):
        self.layers = [nn.Dense(n) for n in self.sizes]

      @nn.compact
      def __call__(self, x, train: bool = False):
        for layer in self.layers[:-1]:
          x = nn.relu(layer(x))
          if self.rate > 0:
            x = nn.Dropout(self.rate, deterministic=not train)(x)
        return self.layers[-1](x)


    class Decoder(MLP):
      @nn.compact
      def __call__(self, z):
        for layer in self.layers[:-1]:
          z = nn.tanh(layer(z))
        return self.layers[-1](z)


    class Model(nn.Module):
      width: int = 7

      def setup(self):
        self.decoder = Decoder([self.width, 5])

      def __call__(self, x):
        return self.decoder(x)
    """
  ported = port_and_check(
    tmp_path, source, "Model(), x(2, 13)", held_out=["Model(11), x(2, 3)"], clean=False
  )  # no example drops
  assert "Decoder(in_features, (self.width, 5), rngs=rngs)" in ported.text


def test_subclass_with_a_compact_method_of_its_own_has_none_of_the_compact_layers_of_a_base(tmp_path):
  source = """
    class Base(nn.Module):
      width: int = 7

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(x)


    class Model(Base):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width, use_bias=False, name="out")(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", clean=False)  # no example runs the base
  assert "super().__init__" not in ported.text
