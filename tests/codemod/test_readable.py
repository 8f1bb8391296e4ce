"""Expressions that can and cannot be read where a layer is made."""

import pytest

from tests.codemod.support import port_and_check

SOURCE = """
class Model(nn.Module):
  width: int = 4

  @nn.compact
  def __call__(self, x):
    norm = nn.LayerNorm()
    {before}
    width = {width}
    return norm(nn.Dense(width)(x))
"""


@pytest.mark.parametrize(
  ("width", "written"),
  [
    ("max(self.width, x.shape[-1])", "max(self.width, in_features)"),
    ("abs(self.width - x.shape[-1])", "abs(self.width - in_features)"),
    ("round(self.width * 2.6)", "round(self.width * 2.6)"),
    ("int(1.6 * self.width)", "int(1.6 * self.width)"),
  ],
)
def test_numbers_by_functions_of_python(tmp_path, width, written):
  source = SOURCE.format(before="pass", width=width)
  ported = port_and_check(tmp_path, source, "Model(), x(2, 7)", held_out=["Model(5), x(2, 9)"])
  assert ported.hoisted == []
  assert f"self.norm = nnx.LayerNorm({written}, rngs=rngs)" in ported.text


def test_a_local_that_hides_the_function_is_not_read(tmp_path):
  source = SOURCE.format(before="max = lambda a, b: a + b", width="max(self.width, x.shape[-1])")
  ported = port_and_check(tmp_path, source, "Model(), x(2, 7)")
  assert "LayerNorm(max(" not in ported.text
