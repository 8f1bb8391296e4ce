"""Functions that answer from where they are called."""

from __future__ import annotations

from tests.codemod.support import port_and_check

KNOWN = '''
  SIZES = {}


  def known(name):
    """The size of that name in the call that runs."""
    return (SIZES[name],)


  def sized(call):
    @functools.wraps(call)
    def checked(self, x):
      SIZES["d"] = x.shape[-1]
      try:
        return call(self, x)
      finally:
        SIZES.clear()

    return checked


  '''


def test_sizes_that_only_a_call_knows_are_not_asked_for_at_construction(tmp_path):
  source = (
    KNOWN
    + """
  class Model(nn.Module):
    @sized
    @nn.compact
    def __call__(self, x):
      token = self.param("token", nn.initializers.ones, known("d"))
      return nn.Dense(4)(x + token)
  """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(3, 7)"])
  assert "known(" not in ported.text.partition("class Model")[2].partition("def __call__")[0]


def test_sizes_that_a_function_knows_at_any_time_are_asked_for(tmp_path):
  source = """
  def wide(name):
    return {"base": 4, "large": 8}[name]


  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(wide("large"))(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 6)"])
  assert 'wide("large")' in ported.text
