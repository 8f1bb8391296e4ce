"""Lists of arrays in a compact method."""

from __future__ import annotations

from tests.codemod.support import port_and_check

PYRAMID = """
  class Model(nn.Module):
    widths: tuple = (4, 6, 8)
    dim: int = 5

    @nn.compact
    def __call__(self, x):
      features = []
      for i, width in enumerate(self.widths):
        x = nn.relu(nn.Dense(width, name=f"stage{i}")(x))
        features.append(x)
      EACH
      for i in range(len(laterals) - 1, 0, -1):
        laterals[i - 1] = laterals[i - 1] + laterals[i]
      return [nn.Dense(3, name=f"out{i}")(l) for i, l in enumerate(laterals)]
  """


def test_arrays_of_a_comprehension_that_makes_layers(tmp_path):
  source = PYRAMID.replace(
    "EACH", 'laterals = [nn.Dense(self.dim, name=f"lateral{i}")(f) for i, f in enumerate(features)]'
  )
  held_out = ["Model((4, 7), 9), x(2, 3)", "Model((3,)), x(2, 2)"]
  ported = port_and_check(tmp_path, source, "Model(), x(2, 7)", held_out=held_out)
  assert ported.hoisted == []
  assert "self.lateral.append(nnx.Linear(f, self.dim, rngs=rngs))" in ported.text


def test_an_item_that_becomes_another_array_has_its_size(tmp_path):
  source = """
    class Model(nn.Module):
      widths: tuple = (4, 6)
      first: int = 5

      @nn.compact
      def __call__(self, x):
        features = [nn.Dense(width)(x) for width in self.widths]
        features[0] = nn.Dense(self.first, name="first")(features[0])
        return [nn.Dense(2, name=f"out{i}")(f) for i, f in enumerate(features)]
    """
  held_out = ["Model((3, 4, 8), 9), x(2, 2)", "Model((3,)), x(2, 2)"]
  ported = port_and_check(tmp_path, source, "Model(), x(2, 7)", held_out=held_out)
  assert "features[0] = self.first" in ported.text
  assert ported.hoisted == []
