"""Extraction: what is needed of the original files."""

import pytest

from migrate.codemod.extract import extract
from migrate.core.report import MigrateError

SINGLE = '''
# Copyright somebody
# Licence

"""Models of sight."""

from __future__ import annotations

import dataclasses
import functools
import os  # only main
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
  from collections.abc import Sequence, Mapping

try:
  import nothing_of_the_kind
  HAS = True
except ImportError:
  HAS = False

Dtype = Any
SIZES = {"s": 1}
REGISTRY = {}
_SENTINEL = object()

__all__ = ["Config", "Block", "main"]


# a helper that is not needed
def unused():
  return functools.partial(max)


@dataclasses.dataclass
class Config:
  """Not ported."""
  width: int = 3


# scales things
# by a constant
def scale(x, by=_SENTINEL):
  return x * SIZES["s"] if by is _SENTINEL else x * by


def register(cls):
  REGISTRY[cls.__name__] = cls
  return cls


class Block:
  """Ported."""

  def __init__(self, config: Config, dims: "Sequence[int]" = (), dtype: Dtype = None):
    self.config = config
    self.has = HAS

  def __call__(self, x):
    return scale(x) + self.config.width


@functools.cache
def lookup(name):
  return REGISTRY[name]


register(Block)


def main():
  os.getcwd()
  return unused()


if __name__ == "__main__":
  main()
'''


def test_single_file_is_shaken_and_config_keeps_its_identity(world):
  files = world.run({"vit.py": SINGLE}, {"vit": {"Block"}}, {"vit": "vit_nnx"})
  assert list(files) == ["vit_nnx.py"]
  text = files["vit_nnx.py"]
  assert text.startswith('# Copyright somebody\n# Licence\n\n"""Models of sight."""\n\nfrom __future__')
  assert "# scales things\n# by a constant\ndef scale" in text
  assert '__all__ = ["Block"]' in text
  for gone in ("unused", "import os", "functools", "Mapping", "class Config", "REGISTRY", "main", "register"):
    assert gone not in text
  new, old = world.load("vit_nnx"), world.load("vit")
  assert new.Config is old.Config
  assert new._SENTINEL is old._SENTINEL
  assert new.Block is not old.Block
  assert new.Block(old.Config())(2) == 5


def test_mutated_state_comes_from_the_original_unless_it_holds_ported_things(world):
  source = """
    COUNTS = {}
    MODELS = {}

    def count(name):
      COUNTS[name] = COUNTS.get(name, 0) + 1

    class Block:
      def __init__(self):
        count("block")

    MODELS["block"] = Block

    def make(name):
      return MODELS[name]()
  """
  world.run({"m.py": source}, {"m": {"Block", "make"}}, {"m": "m_nnx"})
  new, old = world.load("m_nnx"), world.load("m")
  assert new.COUNTS is old.COUNTS
  assert new.MODELS is not old.MODELS
  assert type(new.make("block")) is new.Block
  assert type(old.make("block")) is old.Block


def test_registration_with_jax_comes_along_and_other_registries_are_not_called_twice(world):
  source = """
    import jax
    REG = []
    def register(name):
      def add(f):
        assert name not in REG
        REG.append(name)
        return f
      return add
    class Box:
      def __init__(self, block): self.block = Block()
    class Block:
      def box(self): return Box(self)
      def go(self): return helper()
    @register("helper")
    def helper(): return 1
    jax.tree_util.register_pytree_node(Box, lambda b: ((b.block,), None), lambda _, c: Box(*c))
  """
  files = world.run({"reg.py": source}, {"reg": {"Block"}}, {"reg": "reg_nnx"})
  assert "register_pytree_node(Box" in files["reg_nnx.py"]
  new, old = world.load("reg_nnx"), world.load("reg")
  assert new.helper is old.helper
  assert type(new.Block().box().block) is new.Block


def test_definitions_in_a_package_init(world):
  files = world.run(
    {"q/__init__.py": "from .x import X\nclass A:\n  x = X\n", "q/x.py": "class X: pass\n"},
    {"q": {"A"}, "q.x": {"X"}},
    {"q": "q_nnx"},
  )
  assert sorted(files) == ["q_nnx/__init__.py", "q_nnx/x.py"]
  assert world.load("q_nnx").A.x is world.load("q_nnx.x").X


def test_a_name_that_is_not_there_is_refused():
  with pytest.raises(MigrateError, match="no top-level B"):
    extract({"m": "class A: pass\n"}, {"m": {"B"}}, {"m": "m_nnx"}, {"m": False})


def test_a_value_made_of_a_ported_class_comes_along_for_the_files_that_import_it(world):
  files = world.run(
    {
      "lib/__init__.py": "",
      "lib/parts.py": """
        from functools import partial

        class Part:
          pass

        Small = partial(Part)
        Unread = partial(Part)
        LIMIT = 3
        """,
      "lib/whole.py": """
        from lib.parts import LIMIT, Small

        class Whole:
          def __init__(self):
            self.part = Small() if LIMIT else None
        """,
    },
    {"lib.parts": {"Part"}, "lib.whole": {"Whole"}},
    {"lib": "lib_nnx"},
  )
  assert "Small = partial(Part)" in files["lib_nnx/parts.py"]
  assert "Unread" not in files["lib_nnx/parts.py"]
  assert "from lib_nnx.parts import Small" in files["lib_nnx/whole.py"]
  assert "from lib.parts import LIMIT" in files["lib_nnx/whole.py"]
