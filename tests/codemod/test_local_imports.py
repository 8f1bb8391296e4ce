"""Imports of Linen inside functions."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_imports_of_linen_in_methods_go(tmp_path):
  source = """
    class TorchDense(nn.Dense):
      def __init__(self, *args, **kwargs):
        from flax.linen.initializers import variance_scaling
        options = {"kernel_init": variance_scaling(1 / 3, "fan_in", "uniform")}
        options.update(kwargs)
        super().__init__(*args, **options)


    class Model(nn.Module):
      width: int = 7

      def setup(self):
        from flax.linen import LayerNorm

        self.norm = LayerNorm()

      @nn.compact
      def __call__(self, x):
        from flax.linen import gelu, initializers as inits

        x = gelu(TorchDense(self.width)(x))
        return self.norm(nn.Dense(self.width, kernel_init=inits.normal())(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3), x(2, 4)"])
  assert "flax.linen" not in ported.text
  assert 'nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")' in ported.text
  assert "x = nnx.gelu(" in ported.text


def test_other_imports_in_methods_stay(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        from math import sqrt

        return nn.Dense(3)(x) * sqrt(2)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "    from math import sqrt\n" in ported.text
