"""Arguments of functions that are written out, where branches and loops ask for them or change them."""

import pytest

from migrate.codemod.given_values import constant_truth
from tests.codemod.support import port_and_check


@pytest.mark.parametrize(
  ("text", "wanted"),
  [
    ("None is None", True),
    ("(4, 5) is None", False),
    ("(4, 5) is not None", True),
    ("7 < 0", False),
    ("'a' == 'a'", True),
    ("not 0", True),
    ("()", False),
    ("self.width is None", None),
    ("n > 3", None),
    ("1000 is 1000", None),
    ("'a' < 3", None),
    ("f(3)", None),
    (None, None),
  ],
)
def test_conditions_over_literals(text, wanted):
  assert constant_truth(text) is wanted


FUNCTION = """
    def block(x, sizes, ch=4, biases=None, width=None):
      if biases is None:
        biases = (True,) * len(sizes)
      if width is None:
        width = ch // 2
      for n, bias in zip(sizes, biases):
        x = nn.Dense(n + ch, use_bias=bias)(x)
        ch = ch * 2
      return nn.Dense(width)(x)
"""


def test_defaults_that_a_branch_replaces_and_a_loop_changes(tmp_path):
  source = (
    FUNCTION
    + """
    class Model(nn.Module):
      width: Any = None

      @nn.compact
      def __call__(self, x):
        x = block(x, (4, 5))
        return block(x, [3, 2], ch=6, biases=[True, False], width=self.width)
    """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(9), x(2, 3)"])
  assert "    biases = (True,) * len((4, 5))\n    width = 4 // 2\n" in ported.text
  assert "    if self.width is None:\n      width = 6 // 2\n" in ported.text
  assert "if None is None" not in ported.text


def test_size_of_the_input_that_grows_in_a_loop(tmp_path):
  source = """
    class Model(nn.Module):
      rounds: int = 3

      @nn.compact
      def __call__(self, x):
        n = x.shape[-1]
        for i in range(self.rounds):
          x = nn.Dense(n)(x)
          if i % 2:
            n *= 2
        return nn.Dense(n)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(2), x(2, 3)", "Model(4), x(2, 3)"])
  assert ported.hoisted == []
