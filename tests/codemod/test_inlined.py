"""Layers of a loop that are named only to be handed to another."""

from __future__ import annotations

from tests.codemod.support import port_and_check

SOURCE = """
class Model(nn.Module):
  hidden: int = 4

  @nn.compact
  def __call__(self, x):
    for _ in range(2):
      forward = nn.RNN(nn.SimpleCell(self.hidden))
      # and back
      backward = nn.RNN(nn.SimpleCell(self.hidden), reverse=True, keep_order=True)
      x = nn.Bidirectional(forward, backward)(x)
    return nn.Dense(2)(x)
"""


def test_layers_stand_where_they_are_handed_over(tmp_path):
  ported = port_and_check(tmp_path, SOURCE, "Model(), x(2, 3, 6)", held_out=["Model(3), x(2, 4, 5)"])
  assert ported.hoisted == []
  assert "forward" not in ported.text
  assert "x_features = 2 * self.hidden" in ported.text
  assert ported.text.count("nnx.SimpleCell(x_features, self.hidden") == 2


def test_layers_that_are_also_called_keep_their_names(tmp_path):
  source = SOURCE.replace("(forward, backward)(x)", "(forward, backward)(x)[..., : self.hidden] + forward(x)")
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3, 4)")
  assert "self.forward" in ported.text


def test_outside_loops_names_stay(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        cell = nn.SimpleCell(4)
        return nn.RNN(cell)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3, 6)", held_out=["Model(), x(2, 4, 5)"])
  assert "self.cell = nnx.SimpleCell(" in ported.text
