"""Whole files: what is not reached stays byte for byte, files without Linen are not touched."""

from __future__ import annotations

import ast

import pytest

from tests.codemod.support import HEADER, dedent, importable, port_and_check, retrace, rewrite, write

PACKAGE = {
  "pkg/__init__.py": "from pkg.model import Model\n",
  "pkg/blocks.py": '''
  """Blocks."""

  from flax import linen as nn

  from pkg.maths import scale


  class Block(nn.Module):
    """A block."""

    features: int

    @nn.compact
    def __call__(self, x):
      return scale(nn.relu(nn.Dense(self.features)(x)))


  class NotReached(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(3)(x)
  ''',
  "pkg/maths.py": "import jax.numpy as jnp\n\n\ndef scale(x):\n  return jnp.tanh(x)   # oddly   spaced\n",
  "pkg/model.py": """
  from flax import linen as nn

  from . import blocks
  from .blocks import Block


  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = Block(7)(x)
      x = blocks.Block(features=5)(x)
      return nn.Dense(3)(x)
  """,
  "pkg/unrelated.py": "from flax import linen as nn\n\n\nclass Other(nn.Module):\n  pass\n",
}


def test_package_of_several_files(tmp_path):
  ported = port_and_check(tmp_path, PACKAGE, "Model(), x(2, 11)", module="pkg.model", held_out=["Model(), x(2, 3)"])
  assert sorted(ported.rewriting.sources) == ["pkg.blocks", "pkg.model"]
  assert not any("unrelated" in name or "maths" in name for name in ported.draft.files)
  assert any("from pkg.maths import scale" in text for text in ported.draft.files.values())


def test_class_that_no_example_reaches_stays_linen(tmp_path):
  ported = rewrite(tmp_path, PACKAGE, "Model(), x(2, 11)", module="pkg.model")
  text = ported.rewriting.sources["pkg.blocks"]
  assert "class NotReached(nn.Module):\n  @nn.compact\n" in text
  assert "from flax import linen as nn" in text


def test_originals_are_not_touched(tmp_path):
  before = {name: dedent(text) for name, text in PACKAGE.items()}
  ported = port_and_check(tmp_path, PACKAGE, "Model(), x(2, 11)", module="pkg.model")
  assert {n: (ported.folder / n).read_text() for n in before} == before


REST = """
LIMIT = {'a':1,
         'b' : 2}   # odd


def helper( a,b ):
    return a+b   # kept


class Plain:
    x=1


if __name__ == '__main__':
    print( helper(1,2) )
"""


def test_text_around_the_classes_is_byte_for_byte_the_same(tmp_path):
  model = "class Model(nn.Module):\n  @nn.compact\n  def __call__(self, x):\n    return nn.Dense(3)(x)\n"
  ported = rewrite(tmp_path, {"model.py": f"from flax import linen as nn\n{REST}\n\n{model}"}, "Model(), x(2, 5)")
  assert REST.rstrip() in ported.text


def test_source_that_is_nnx_already_is_a_no_op(tmp_path):
  linen = """
    class Model(nn.Module):
      features: int = 7

      @nn.compact
      def __call__(self, x):
        for _ in range(2):
          x = nn.relu(nn.Dense(self.features)(x))
        return x
    """
  first = port_and_check(tmp_path, linen, "Model(), x(2, 5)")
  done = first.text.replace("class Model", "class Done")
  second = rewrite(tmp_path, {"model.py": done + "\n\n" + HEADER + dedent(linen)}, "Model(), x(2, 5)")
  assert done[done.index("class Done") :].rstrip() in second.text


def test_package_with_a_ported_file_leaves_that_file_alone(tmp_path):
  files = {
    "pkg/__init__.py": "",
    "pkg/done.py": """
    from flax import nnx


    class Block(nnx.Module):
      def __init__(self, rngs: nnx.Rngs):
        self.dense = nnx.Linear(3, 3, rngs=rngs)
    """,
    "pkg/model.py": """
    from flax import linen as nn

    from pkg import done


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(x) if done else x
    """,
  }
  ported = rewrite(tmp_path, files, "Model(), x(2, 5)", module="pkg.model")
  assert list(ported.rewriting.sources) == ["pkg.model"]


def test_rewriting_twice_gives_the_same_text(tmp_path):
  home = write(tmp_path, PACKAGE)
  with importable(home):
    first = retrace(home, ["Model(), x(2, 11)"], "pkg.model")
    second = retrace(home, ["Model(), x(2, 11)"], "pkg.model")
  assert first.rewriting.sources == second.rewriting.sources


def test_class_that_can_not_be_rewritten_is_named_and_left(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(*(3,))(x)
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  assert ported.rewriting.left == ["model.Model"]
  assert ported.rewriting.sources == {}
  assert "starred" in str(ported.findings[0])
  assert ported.findings[0].where.endswith("model.py:15")


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_postponed_annotations(tmp_path, future):
  source = f"""{future}from flax import linen as nn


class Model(nn.Module):
  act: "nn.Module | None" = None

  @nn.compact
  def __call__(self, x: "jax.Array") -> "jax.Array":
    return nn.Dense(3)(x)
"""
  ported = rewrite(tmp_path, {"model.py": source}, "Model(), x(2, 5)")
  ast.parse(ported.text)
  assert "self.dense" in ported.text


def test_windows_line_ends_survive(tmp_path):
  text = "from flax import linen as nn\r\n\r\n\r\nclass Model(nn.Module):\r\n  @nn.compact\r\n  def __call__(self, x):\r\n    return nn.Dense(3)(x)\r\n"
  home = tmp_path / "windows"
  home.mkdir()
  (home / "model.py").write_bytes(text.encode())
  with importable(home):
    ported = retrace(home, ["Model(), x(2, 5)"], "model")
  ast.parse(ported.text)
  assert "self.dense(x)" in ported.text


FOREIGN = {
  "library/__init__.py": "from library import parts as nn\n",
  "library/parts.py": """
  from flax import linen as nn


  class Same(nn.Module):
    def __call__(self, x):
      return x


  class Base(nn.Module):
    features: int = 7

    def setup(self):
      self.dense = nn.Dense(self.features)
  """,
  "pkg/__init__.py": "",
  "pkg/model.py": """
  import library
  from flax import linen as nn


  class Model(library.nn.Base):
    same: bool = True

    def setup(self):
      super().setup()
      self.identity = library.nn.Same()

    def __call__(self, x):
      return self.identity(self.dense(x))
  """,
}


def test_classes_of_other_packages_come_along(tmp_path):
  ported = port_and_check(tmp_path, FOREIGN, "Model(), x(2, 5)", module="pkg.model", held_out=["Model(11), x(2, 3)"])
  assert "library_nnx/parts.py" in ported.draft.files
  assert "library_nnx.parts.Same(rngs=rngs)" in ported.draft.files["pkg_nnx/model.py"]


def test_classes_of_other_packages_stay_where_packages_are_named(tmp_path):
  ported = rewrite(tmp_path, FOREIGN, "Model(), x(2, 5)", module="pkg.model", include=["pkg"])
  assert "library.parts" not in ported.rewriting.sources


def test_class_by_way_of_a_module_is_no_table(tmp_path):
  ported = rewrite(tmp_path, FOREIGN, "Model(), x(2, 5)", module="pkg.model")
  assert [str(f) for f in ported.findings if f.severity != "note"] == []


def test_a_field_of_a_base_that_only_the_call_knows(tmp_path):
  source = """
    class Block(nn.Module):
      width: int
      train: bool = False

      @nn.compact
      def __call__(self, x):
        return nn.BatchNorm(use_running_average=not self.train)(nn.Dense(self.width)(x))

    class Small(Block):
      width: int = 5

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, train: bool = False):
        return Small(train=train)(x)
    """
  call = "Example(Model(), (x(2, 7),), calls=(Call((x(2, 7), True), mutable=['batch_stats']),))"
  ported = port_and_check(tmp_path, source, call, held_out=["Model(), x(2, 3)"])
  assert "self.small(x, train=train)" in ported.text
