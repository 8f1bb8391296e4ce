"""Functions that `setup` keeps in attributes."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_function_that_calls_a_layer_is_a_method(tmp_path):
  source = """
    class Model(nn.Module):
      width: int

      def setup(self):
        self.dense = nn.Dense(self.width)
        # Twice.
        self.warp = lambda x, times=2: (
          self.dense(x)
          * times
        )

        def shift(x):
          y = x + self.bias
          return nn.relu(y)

        self.shifted = shift
        self.bias = self.param("bias", nn.initializers.ones, (self.width,))
        self.squash = lambda x: nn.tanh(x) * self.width

      def __call__(self, x):
        return self.squash(self.shifted(self.warp(x)))
    """
  ported = port_and_check(tmp_path, source, "Model(5), x(2, 3)", held_out=["Model(4), x(2, 6)"])
  assert "\n  # Twice.\n  def warp(self, x, times=2):\n    return (" in ported.text
  assert "def shifted(self, x):\n    y = x + self.bias" in ported.text
  assert "self.squash = lambda x: nnx.tanh(x) * self.width" in ported.text
  assert "self.warp =" not in ported.text


def test_function_that_a_subclass_may_set_before(tmp_path):
  source = """
    class Layer(nn.Module):
      def setup(self):
        self.scale = self.param("scale", nn.initializers.ones, (1,))
        if not hasattr(self, "warp"):
          self.warp = lambda x: x / self.scale

      def __call__(self, x):
        return self.warp(x)

    class Model(Layer):
      def setup(self):
        self.warp = lambda x: x * self.scale
        super().setup()
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", "Layer(), x(2, 3)")
  assert ported.text.count("def warp(self, x):") == 2
  assert "hasattr" not in ported.text


def test_function_of_locals_stays(tmp_path):
  source = """
    class Model(nn.Module):
      width: int

      def setup(self):
        half = self.width // 2
        self.dense = nn.Dense(self.width)
        self.warp = lambda x: x * half + self.width

      def __call__(self, x):
        return self.warp(self.dense(x))
    """
  ported = port_and_check(tmp_path, source, "Model(5), x(2, 3)")
  assert "self.warp = lambda x: x * half + self.width" in ported.text
