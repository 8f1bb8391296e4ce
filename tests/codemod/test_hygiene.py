"""Functions that are written out in `__init__` leave the names around their call as they were."""

from tests.codemod.support import port_and_check

FUNCTION = """
    def block(x, sizes, width=None):
      width = width or 2
      for n in sizes:
        x = nn.Dense(n)(x)
      return nn.Dense(width)(x)
"""


def test_locals_of_the_same_names(tmp_path):
  source = (
    FUNCTION
    + """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        width = 5
        n = 3
        y = nn.Dense(n)(x)
        x = block(x, (4, 6))
        x = nn.Dense(width)(x) + nn.Dense(n)(y)[:, :1]
        return block(x, (7,), 4)
    """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 9)"])
  assert "    own_n = n\n    own_width = width\n" in ported.text
  assert "    n = own_n\n    width = own_width\n" in ported.text
  assert ported.text.count("own_n = n") == 1, "nothing is kept that nobody reads"


def test_sizes_that_went_by_a_name_of_the_function(tmp_path):
  source = (
    FUNCTION
    + """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        y = block(x, (4, 6), 3)
        z = block(y, (5,), 7)
        return nn.Dense(2)(y) + nn.Dense(2)(z)
    """
  )
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 9)"])
