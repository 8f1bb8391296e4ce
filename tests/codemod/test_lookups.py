"""Classes that a model finds in a table outside the ported files."""

from __future__ import annotations

from migrate.codemod.lookups import drop_unused_imports
from tests.codemod.support import port_and_check

BLOCKS = """
  import flax.linen as nn

  class Small(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x):
      return nn.Dense(self.width)(x)

  class Large(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x):
      return nn.Dense(self.width)(nn.relu(nn.Dense(2 * self.width)(x)))
"""
TABLE = """
  from types import SimpleNamespace

  from zoo import blocks

  TABLE = {
    "small": SimpleNamespace(module_class=blocks.Small),
    "large": SimpleNamespace(module_class=blocks.Large),
  }
"""
MODEL = """
  import flax.linen as nn

  class Model(nn.Module):
    kind: str = "small"
    other: str = "small"

    def setup(self):
      # the table imports this module
      from .table import TABLE

      block = TABLE[self.kind].module_class
      self.block = block(7)
      self.head = TABLE[self.other].module_class(3)

    def __call__(self, x):
      return self.head(self.block(x))
"""
FILES = {"zoo/__init__.py": "", "zoo/blocks.py": BLOCKS, "zoo/table.py": TABLE, "zoo/model.py": MODEL}


def test_one_class_is_named(tmp_path):
  ported = port_and_check(
    tmp_path, FILES, "Model(), x(2, 5)", module="zoo.model", held_out=["Model(), x(2, 3)"], clean=False
  )
  assert "    block = Small\n" in ported.text
  assert "TABLE" not in ported.text
  assert {f.rule for f in ported.findings if f.severity == "eye"} == {"L2N113"}


def test_several_classes_are_told_apart_by_name(tmp_path):
  ported = port_and_check(
    tmp_path, FILES, "Model('large'), x(2, 5)", "Model('small'), x(2, 5)", module="zoo.model", clean=False
  )
  assert 'block = {"Large": Large, "Small": Small}[TABLE[self.kind].module_class.__name__]' in ported.text
  assert "TABLE" in ported.text


def test_table_of_the_ported_file_stays(tmp_path):
  source = """
    class Small(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(x)

    TABLE = {"small": Small}

    class Model(nn.Module):
      kind: str = "small"

      def setup(self):
        self.block = TABLE[self.kind](7)

      def __call__(self, x):
        return self.block(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "self.block = TABLE[self.kind](" in ported.text


def test_imports_that_are_used_stay():
  text = "import math\nimport os\n\nx = math.pi\n"
  assert drop_unused_imports(text) == "import math\n\nx = math.pi\n"


CELLS = """
  import flax.linen as nn

  class Model(nn.Module):
    cell: str = "{cell}"
    hidden: int = 5

    @nn.compact
    def __call__(self, x):
      return nn.RNN(getattr(nn, self.cell)(self.hidden))(x)
  """


def test_layers_found_by_name_that_are_called_otherwise_now(tmp_path):
  ported = port_and_check(
    tmp_path, CELLS.format(cell="GRUCell"), "Model(), x(2, 6, 3)", held_out=["Model(hidden=4), x(2, 5, 7)"]
  )
  assert '{"GRUCell": GRUCell}.get(self.cell, getattr(nnx, self.cell, None))(' in ported.text


def test_layers_found_by_name_that_nnx_calls_the_same(tmp_path):
  ported = port_and_check(tmp_path, CELLS.format(cell="LSTMCell"), "Model(), x(2, 6, 3)")
  assert "getattr(nnx, self.cell)(" in ported.text
