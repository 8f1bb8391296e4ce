"""Fields that have the name of a function of the file."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_function_with_the_name_of_a_field_is_read_by_another_name(tmp_path):
  source = """
  def init(scale):
    return nn.initializers.orthogonal(scale)


  class Model(nn.Module):
    init: float = 1.4

    @nn.compact
    def __call__(self, x):
      return nn.Dense(4, kernel_init=init(self.init))(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(0.5), x(2, 4)"])
  assert "_init = init  # `Model` has a field of the same name\n\n\nclass Model(nnx.Module):" in ported.text
  assert "kernel_init=_init(self.init)" in ported.text
  assert "init: float = 1.4" in ported.text


def test_function_that_only_calls_read_keeps_its_name(tmp_path):
  source = """
  def scale(x, factor):
    return x * factor


  class Model(nn.Module):
    scale: float = 2.0

    @nn.compact
    def __call__(self, x):
      return scale(nn.Dense(4)(x), self.scale)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert "_scale" not in ported.text
  assert "return scale(self.dense(x), self.scale)" in ported.text


def test_field_itself_is_no_function_of_the_file(tmp_path):
  source = """
  class Model(nn.Module):
    init: Callable = nn.initializers.ones

    @nn.compact
    def __call__(self, x):
      return nn.Dense(4, kernel_init=self.init)(x)
  """
  assert "_init = " not in port_and_check(tmp_path, source, "Model(), x(2, 3)").text.replace("kernel_init", "")
