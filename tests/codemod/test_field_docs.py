"""Strings below fields."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_docstring_of_a_field_goes_with_its_assignment(tmp_path):
  source = '''
    class Model(nn.Module):
      """A model."""

      width: int = 7
      """How wide."""
      classes: int = 3
      """How many
      classes."""

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.classes)(nn.Dense(self.width)(x))
    '''
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(4, 2), x(2, 3)"])
  assert '    self.width = width\n    """How wide."""\n    self.classes = classes\n' in ported.text
  assert '    """How many\n    classes."""\n' in ported.text
  assert ported.text.count('"""How wide."""') == 1


def test_string_that_is_below_no_field_stays(tmp_path):
  source = '''
    class Model(nn.Module):
      width: int = 7

      TAG = "model"
      """What it is called."""

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(x)
    '''
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert '  TAG = "model"\n  """What it is called."""\n' in ported.text
