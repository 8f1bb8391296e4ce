"""The text of construction sites."""

import pytest

from migrate.codemod.static import alone


@pytest.mark.parametrize(
  ("text", "written", "argument"),
  [
    ("(height * width)", "Layer(x.shape[1])", "height * width"),
    ("(height * width)", "Layer((height * width))", "(height * width)"),
    ("(3, 3)", "Layer(size)", "(3, 3)"),
    ("(a + b) * (c + d)", "Layer(x)", "(a + b) * (c + d)"),
    ("(a +\n b)", "Layer(x)", "(a +\n b)"),
    ("(f for f in x)", "Layer(x)", "(f for f in x)"),
  ],
)
def test_parentheses_that_an_argument_by_itself_does_not_need(text, written, argument):
  assert alone(text, written) == argument
