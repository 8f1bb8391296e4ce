"""Bases whose `setup` runs after that of the class."""

from __future__ import annotations

from tests.codemod.support import port_and_check

BASE = """
  class Layer(nn.Module):
    width: int = 7

    def setup(self):
      if not hasattr(self, "activation"):
        self.activation = nn.relu
      self.dense = nn.Dense(self.width)

    def __call__(self, x):
      return self.activation(self.dense(x))


  """


def test_base_that_asks_for_attributes_runs_where_the_class_called_its_setup(tmp_path):
  source = (
    BASE
    + """
  class Model(Layer):
    scale: float = 2.0

    def setup(self):
      half = self.width // 2
      self.activation = lambda x: nn.tanh(x) + half
      super().setup()
  """
  )
  ported = port_and_check(tmp_path, source, "Model(5), x(2, 3)", held_out=["Model(4), x(2, 6)"])
  assert (
    """
    self.scale = scale
    half = width // 2
    self.activation = lambda x: nnx.tanh(x) + half
    super().__init__("""
    in ported.text
  )


def test_base_that_reads_an_attribute_runs_after_it_is_set(tmp_path):
  source = """
    class Layer(nn.Module):
      width: int

      def setup(self):
        self.dense = nn.Dense(self.units)

      def __call__(self, x):
        return self.dense(x)

    class Model(Layer):
      def setup(self):
        self.units = 2 * self.width
        super().setup()
    """
  ported = port_and_check(tmp_path, source, "Model(5), x(2, 3)", held_out=["Model(4), x(2, 6)"])
  assert "self.units = 2 * width\n    super().__init__(" in ported.text


def test_base_that_needs_nothing_runs_first(tmp_path):
  source = """
    class Layer(nn.Module):
      width: int

      def setup(self):
        self.dense = nn.Dense(self.width)

    class Model(Layer):
      def setup(self):
        self.head = nn.Dense(self.width)
        super().setup()

      def __call__(self, x):
        return self.head(self.dense(x))
    """
  ported = port_and_check(tmp_path, source, "Model(5), x(2, 3)")
  assert ported.text.index("super().__init__(") < ported.text.index("self.head =")


def test_parameters_that_a_loop_sets_by_their_names(tmp_path):
  source = """
    class Layer(nn.Module):
      def setup(self):
        for name, value in self.starts().items():
          if not hasattr(self, name):
            setattr(self, name, self.param(name, nn.initializers.constant(value), (3,)))

    class Model(Layer):
      def starts(self):
        return {"scale": 1.0, "shift": 2.0, "dense": 0.0}

      def setup(self):
        self.dense = nn.Dense(3)
        self.warp = lambda x: x / self.scale
        super().setup()

      def __call__(self, x):
        return self.dense(self.warp(x)) + self.shift
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert "setattr(self, name, nnx.Param(" in ported.text
