"""Attributes that the class does not have where `setup` reads them."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_method_that_subclasses_have(tmp_path):
  source = """
    class Layer(nn.Module):
      def setup(self):
        self.dense = nn.Dense(self.width())

      def __call__(self, x):
        return self.dense(x)

    class Narrow(Layer):
      def width(self):
        return 3

    class Model(nn.Module):
      def setup(self):
        self.narrow = Narrow()

      def __call__(self, x):
        return self.narrow(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 4)"])
  assert "self.dense = nnx.Linear(in_features, self.width(), rngs=rngs)" in ported.text


def test_lambda_reads_what_is_assigned_below_it(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.warps = (lambda x: x / self.scale,)
        self.scale = 3.0
        self.dense = nn.Dense(3)

      def __call__(self, x):
        return self.dense(self.warps[0](x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "self.warps = (lambda x: x / self.scale,)\n" in ported.text


def test_attribute_that_nothing_has_where_no_example_comes(tmp_path):
  source = """
    class Model(nn.Module):
      custom: nn.Module | None = None

      def setup(self):
        if self.custom is None:
          self.head = nn.Dense(3)
        else:
          self.head = self.custom_module

      def __call__(self, x):
        return self.head(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 4)"])
  assert "self.head = self.custom_module\n" in ported.text
