"""Objects that hold a module and speak for it."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

# sown outside of nnx.capture(), which is the caller's to open
pytestmark = pytest.mark.filterwarnings("ignore:Using 'Module.sow")

NOTES = '''
  def notes_property():
    """A property that makes sowing look like a dict."""

    @property
    def notes(self):
      return Notes(self)

    return notes


  class Notes:
    def __init__(self, module):
      if module.scope is None:
        raise ValueError("only inside of apply")
      self.module = module

    def __setitem__(self, key, value):
      self.module.sow("intermediates", key, value)

    def add(self, key, value):
      """Notes a value."""
      self.module.sow("intermediates", key, value)

    def twice(self, key, value):
      self.module.sow("intermediates", key, value)
      self.module.sow("intermediates", key, value)


  '''


@pytest.mark.parametrize(
  ("line", "sown"),
  [
    ('self.notes["hidden"] = h', 'self.sow(nnx.Intermediate, "hidden", h)'),
    ('self.notes.add("hidden", h + 1)', 'self.sow(nnx.Intermediate, "hidden", h + 1)'),
  ],
)
def test_what_an_accessor_sows_is_sown_by_the_module(tmp_path, line, sown):
  source = (
    NOTES
    + f"""
  class Model(nn.Module):
    notes = notes_property()

    @nn.compact
    def __call__(self, x):
      h = nn.Dense(4)(x)
      # kept for the plots
      {line}
      return h * 2
  """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  model = ported.text[ported.text.index("class Model") :]
  assert f"    # kept for the plots\n    {sown}\n" in model
  assert "notes" not in model


def test_dict_of_the_class_is_a_dict(tmp_path):
  source = """
  class Model(nn.Module):
    @property
    def notes(self):
      return {}

    @nn.compact
    def __call__(self, x):
      h = nn.Dense(4)(x)
      self.notes["hidden"] = h
      return h * 2
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert 'self.notes["hidden"] = h' in ported.text
