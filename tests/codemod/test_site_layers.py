"""The text of construction sites."""

import pytest

from migrate.codemod.static import alone
from tests.codemod.support import port_and_check, rewrite

INJECTED = """
class Model(nn.Module):
  width: int = 5
  dot_general_cls: Any = None

  @nn.compact
  def __call__(self, x):
    return nn.Dense(self.width, dot_general_cls=self.dot_general_cls)(x)


class Product:
  def __call__(self, *args, **kwargs):
    return jax.lax.dot_general(*args, **kwargs)
"""


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


def test_argument_that_nnx_lacks_is_left_out_where_it_was_none(tmp_path):
  ported = port_and_check(tmp_path, INJECTED, "Model(), x(2, 7)", clean=False)
  assert [(f.rule, f.severity) for f in ported.rewriting.findings] == [("L2N117", "eye")]
  assert "nnx.Linear(in_features, self.width, rngs=rngs)" in ported.text


def test_argument_that_nnx_lacks_is_refused_where_it_was_given(tmp_path):
  ported = rewrite(tmp_path, INJECTED, "Model(dot_general_cls=Product), x(2, 7)")
  assert [f.rule for f in ported.rewriting.findings if f.severity == "error"] == ["L2N101"]


@pytest.mark.parametrize("lift", ["nn.remat", "nn.jit"])
def test_lists_of_setup_that_a_lifted_method_calls(tmp_path, lift):
  source = f"""
  class Model(nn.Module):
    number: int = 2

    def setup(self):
      self.layers = [nn.Dense(3) for _ in range(self.number)]

    @{lift}
    def block(self, x):
      for layer in self.layers:
        x = nn.relu(layer(x))
      return x

    def __call__(self, x):
      return self.block(x) + 1
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(1), x(2, 4)", "Model(3), x(2, 3)"])
  assert ported.hoisted == []
