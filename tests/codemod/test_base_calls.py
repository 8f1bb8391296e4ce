"""Calls of a base's methods, however they are spelled."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

SETUP = """
  class Encoder(nn.Module):
    width: int = 5

    def setup(self):
      self.hidden = nn.Dense(self.width)

    def __call__(self, x):
      return nn.relu(self.hidden(x))

  class Model(Encoder):
    classes: int = 3

    def setup(self):
      {base}.setup({own})
      self.out = nn.Dense(self.classes)

    def __call__(self, x):
      return self.out({base}.__call__({own}{comma}x))
  """


@pytest.mark.parametrize(
  ("base", "own", "comma"), [("Encoder", "self", ", "), ("super(Model, self)", "", ""), ("super()", "", "")]
)
def test_methods_of_the_base_on_the_module_itself(tmp_path, base, own, comma):
  source = SETUP.format(base=base, own=own, comma=comma)
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4)", held_out=["Model(6, 2), x(2, 7)"])
  assert "super().__init__(in_features=in_features, width=width, rngs=rngs)" in ported.text
  assert "setup" not in ported.text


def test_compact_method_of_the_base_unbound(tmp_path):
  source = """
    class Base(nn.Module):
      width: int = 5

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(x)

    class Model(Base):
      @nn.compact
      def __call__(self, x):
        h = Base.__call__(self, x)
        return nn.Dense(2, name="out")(nn.relu(h))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(4), x(2, 5)"])
  assert "h = super().__call__(x)" in ported.text


def test_a_function_of_a_class_that_is_no_base_stays(tmp_path):
  source = """
    class Scale:
      def grow(self, x):
        return x * self.factor

    class Model(nn.Module):
      factor: int = 3

      @nn.compact
      def __call__(self, x):
        return nn.Dense(2)(Scale.grow(self, x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(4), x(2, 5)"])
  assert "Scale.grow(self, x)" in ported.text
