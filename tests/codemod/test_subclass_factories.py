"""Methods that make layers and that a subclass has."""

from __future__ import annotations

from tests.codemod.support import port_and_check

LOOP = """
  class Base(nn.Module):
    width: int = 5
    depth: int = 2

    def make_layer(self, i):
      raise NotImplementedError

    @nn.compact
    def __call__(self, x):
      for i in range(self.depth):
        x = nn.relu(self.make_layer(i)(x))
      return x

  class Model(Base):
    more: int = 1

    def make_layer(self, i):
      return nn.Dense(self.width * (i + self.more))

  """

SETUP = """
  class Base(nn.Module):
    width: int = 5
    depth: int = 2

    def setup(self):
      self.layers = [self.make_layer(i) for i in range(self.depth)]
      self.head = self.make_head()

    def make_layer(self, i):
      raise NotImplementedError

    def make_head(self):
      return nn.Dense(2)

    def __call__(self, x):
      for layer in self.layers:
        x = nn.relu(layer(x))
      return self.head(x)

  """


def test_compact_loop_of_a_base(tmp_path):
  ported = port_and_check(tmp_path, LOOP, "Model(), x(2, 3)", held_out=["Model(4, 3, 2), x(2, 7)"])
  assert "self.layer.append(self.make_layer(i, in_features=x_features, rngs=rngs))" in ported.text
  assert "def make_layer(self, i, *, in_features, rngs):\n    raise NotImplementedError" in ported.text
  assert ported.hoisted == []


def test_two_subclasses_whose_methods_take_the_same(tmp_path):
  source = (
    LOOP
    + """
  class Other(Base):
    def make_layer(self, i):
      return nn.Dense(self.width, use_bias=False)

  class Both(nn.Module):
    @nn.compact
    def __call__(self, x):
      return Other()(Model(4)(x))
  """
  )
  port_and_check(tmp_path, source, "Both(), x(2, 3)")


def test_setup_of_a_base_with_its_own_method(tmp_path):
  source = (
    SETUP
    + """
  class Model(Base):
    def make_layer(self, i):
      return nn.Dense(self.width + i)
  """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(4, 3), x(2, 7)"])
  assert "self.head = self.make_head(in_features=layers_features, rngs=rngs)" in ported.text


def test_method_of_the_base_that_no_example_runs_makes_nothing_by_itself(tmp_path):
  source = (
    SETUP
    + """
  class Model(Base):
    def make_layer(self, i):
      return nn.Dense(self.width)

    def make_head(self):
      return nn.Sequential([nn.Dense(11), nn.relu, nn.Dense(3)])
  """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4)", held_out=["Model(6, 3), x(2, 7)"], clean=False)
  assert "self.dense" not in ported.text


def test_a_method_that_calls_what_it_makes_is_no_such_method(tmp_path):
  source = """
    class Base(nn.Module):
      width: int = 5

      def encode(self, x):
        raise NotImplementedError

      @nn.compact
      def __call__(self, x):
        return nn.Dense(2)(self.encode(x))

    class Model(Base):
      def encode(self, x):
        return nn.tanh(nn.Dense(self.width)(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4)", held_out=["Model(6), x(2, 7)"])
  assert "def encode(self, x):\n    return nnx.tanh(self.dense_1(x))" in ported.text
