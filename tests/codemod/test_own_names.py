"""Modules that read their name."""

from __future__ import annotations

from tests.codemod.support import port_and_check

NAMED = """
  class Block(nn.Module):
    width: int = 7

    @nn.compact
    def __call__(self, x):
      return {self.name or "alone": nn.Dense(self.width)(x)}


  """


def test_makers_tell_a_module_its_name(tmp_path):
  source = (
    NAMED
    + """
  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      found = {**Block(name="first")(x), **Block(3)(x)}
      for i in range(2):
        found |= Block(name=f"more_{i}")(x)
      return found
  """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 3)"])
  for told in ('"first"', '"Block_0"', 'f"more_{i}"'):
    assert f"name={told}" in ported.text or f"Block(in_features, {told}" in ported.text
  assert "self.name = name\n" in ported.text


def test_root_has_no_name(tmp_path):
  ported = port_and_check(tmp_path, NAMED.replace("Block", "Model"), "Model(), x(2, 5)")
  assert "name: str | None = None" in ported.text or "name: int | None = None" in ported.text


def test_class_that_reads_no_name_is_told_none(tmp_path):
  source = """
  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(3, name="head")(x)
  """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "name" not in ported.text.partition("class Model")[2]
