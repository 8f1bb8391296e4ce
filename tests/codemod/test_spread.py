"""Constructor arguments from dicts written in place."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_dict_written_in_place_gives_keywords(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 7

      @nn.compact
      def __call__(self, x):
        return nn.Dense(**{"features": self.width, "use_bias": False, "name": "out"})(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3), x(2, 4)"])
  assert "out_features=self.width, use_bias=False" in ported.text
  assert "**" not in ported.text


def test_name_leaves_a_dict_that_takes_in_another(tmp_path):
  source = """
    class Basis(nn.Module):
      end: float
      dim: int = 4

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.dim)(x / self.end)


    class Model(nn.Module):
      basis: dict

      @nn.compact
      def __call__(self, x):
        return Basis(**{"end": 2.0, **self.basis, "name": "RadialBasis"})(x)
    """
  ported = port_and_check(tmp_path, source, 'Model({"dim": 6}), x(2, 5)', held_out=['Model({"end": 3.0}), x(2, 5)'])
  assert '**{"end": 2.0, **self.basis}' in ported.text
  assert "self.RadialBasis = " in ported.text


def test_dict_of_a_field_is_handed_on(tmp_path):
  source = """
    class Model(nn.Module):
      options: dict

      @nn.compact
      def __call__(self, x):
        return nn.Dense(3, **self.options)(x)
    """
  ported = port_and_check(tmp_path, source, 'Model({"use_bias": False}), x(2, 5)')
  assert "**self.options" in ported.text
