"""Protocols and abstract methods among the bases of modules."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_protocol_without_code_is_no_base_any_more(tmp_path):
  source = '''
    from typing import Protocol

    class Block(Protocol):
      """Takes and returns features."""

      def __call__(self, x) -> jax.Array: ...

      def widen(
        self,
        by: int,
      ) -> int: ...

    class Dense(nn.Module, Block):
      width: int = 7

      @nn.compact
      def __call__(self, x): return nn.Dense(self.width)(x)

    class Model(Block, nn.Module):
      @nn.compact
      def __call__(self, x):
        return Dense(3)(nn.relu(Dense()(x)))
    '''
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 4)"])
  assert "class Dense(nnx.Module):" in ported.text
  assert "class Model(nnx.Module):" in ported.text
  assert "def __call__(self, x): return self.dense(x)" in ported.text


def test_abstract_method_that_nobody_wrote(tmp_path):
  source = """
    from abc import abstractmethod

    class Encoder(nn.Module):
      @abstractmethod
      def __call__(
        self, x,
      ) -> jax.Array: ...

      @abstractmethod
      def reset(self): ...

    class Model(Encoder):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 4)"])
  assert ported.text.count("@abstractmethod") == 1
  assert "@abstractmethod\n  def __call__(\n    self, x,\n  ) -> jax.Array: ..." in ported.text


def test_field_in_the_place_of_a_property(tmp_path):
  source = """
    import abc

    class Potential(abc.ABC, nn.Module):
      @property
      @abc.abstractmethod
      def is_potential(self) -> bool:
        ...

    class Model(Potential):
      width: int
      is_potential: bool = True

      @nn.compact
      def __call__(self, x):
        return nn.Dense(1 if self.is_potential else self.width)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(4), x(2, 5)", held_out=["Model(4, False), x(2, 4)"])
  assert "\n  is_potential: bool = True\n" in ported.text


def test_field_that_hides_a_property_of_a_module(tmp_path):
  source = """
    class Potential(nn.Module):
      @property
      def is_potential(self) -> bool:
        return False

    class Model(Potential):
      width: int
      is_potential: bool = True

      @nn.compact
      def __call__(self, x):
        return nn.Dense(1 if self.is_potential else self.width)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(4), x(2, 5)", held_out=["Model(4, False), x(2, 4)"])
  assert "\n  is_potential: bool = True\n" in ported.text


def test_default_that_is_read_from_the_class_stays_there(tmp_path):
  source = """
    class Positive(nn.Module):
      width: int
      inverse: Callable = lambda v: v - 1
      other: int = 3

      @nn.compact
      def __call__(self, x):
        return x @ jnp.exp(self.param("kernel", nn.initializers.ones, (x.shape[-1], self.width)))

    class Model(nn.Module):
      def setup(self):
        layer = Positive
        self.start = layer.inverse(2.0)
        self.layer = layer(5)

      def __call__(self, x):
        return self.layer(x) + self.start
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 4)"])
  assert "  inverse: Callable = lambda v: v - 1\n\n  def __init__(" in ported.text
