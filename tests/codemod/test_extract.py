import ast
import importlib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from migrate.codemod.extract import extract
from migrate.core.report import MigrateError

RUFF = Path(sys.executable).with_name("ruff")


def dedent(text: str) -> str:
  return textwrap.dedent(text).lstrip("\n")


@pytest.fixture
def world(tmp_path, monkeypatch):
  """Writes original files, extracts, writes the result, checks it with ruff; gives an importer."""
  old, new = tmp_path / "old", tmp_path / "new"
  monkeypatch.syspath_prepend(str(old))
  monkeypatch.syspath_prepend(str(new))
  before = set(sys.modules)

  class World:
    files: dict[str, str]

    def run(self, originals, keep, package_map, **kwargs):
      for path, text in originals.items():
        (old / path).parent.mkdir(parents=True, exist_ok=True)
        (old / path).write_text(dedent(text))
      sources, is_package = {}, {}
      for path, text in originals.items():
        name = path.removesuffix(".py").replace("/", ".")
        is_package[name.removesuffix(".__init__")] = name.endswith(".__init__")
        sources[name.removesuffix(".__init__")] = dedent(text)
      self.files = extract(sources, keep, package_map, is_package, **kwargs)
      for path, text in self.files.items():
        ast.parse(text)
        (new / path).parent.mkdir(parents=True, exist_ok=True)
        (new / path).write_text(text)
      command = [str(RUFF), "check", "--isolated", "--select", "F401,F821,F811", "--quiet", str(new)]
      checked = subprocess.run(command, capture_output=True, text=True, check=False)
      assert checked.returncode == 0, checked.stdout + "\n".join(self.files.values())
      importlib.invalidate_caches()
      return self.files

    def load(self, name):
      return importlib.import_module(name)

  yield World()
  for name in set(sys.modules) - before:
    del sys.modules[name]


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


PACKAGE = {
  "pkg/__init__.py": "from .blocks import Block\nfrom .models.big import Big\n",
  "pkg/common.py": """
    import math
    WIDTH = 7
    class Config:
      pass
    class Norm:
      eps = math.pi
    def helper(x):
      return x + WIDTH
  """,
  "pkg/blocks.py": """
    from .common import Config, Norm, helper, WIDTH as W
    from . import common

    class Output(tuple):
      pass

    class Block:
      config = Config
      norm = Norm

      def __call__(self, x):
        return Output((helper(x), W, common.WIDTH, common.Norm))
  """,
  "pkg/models/__init__.py": "",
  "pkg/models/big.py": """
    import pkg
    import pkg.common
    import pkg.common as c
    from pkg import Block
    from .. import blocks as B
    from ..common import (
        Config,  # the configuration
        Norm,  # the norm
    )

    class Holder:
      kind = Block

    class Big:
      parts = (pkg.Block, pkg.common.Norm, pkg.common.WIDTH, c.Norm, c.WIDTH, Block, B.Block, Config, Norm, Holder)

      def late(self):
        from ..common import Norm, WIDTH
        from pkg.blocks import Block
        return Norm, WIDTH, Block
  """,
}


def test_package_imports_are_split_between_new_and_original(world):
  keep = {"pkg.common": {"Norm"}, "pkg.blocks": {"Block"}, "pkg.models.big": {"Big"}}
  files = world.run(PACKAGE, keep, {"pkg": "pkg_nnx"})
  assert sorted(files) == [
    "pkg_nnx/__init__.py",
    "pkg_nnx/blocks.py",
    "pkg_nnx/common.py",
    "pkg_nnx/models/__init__.py",
    "pkg_nnx/models/big.py",
  ]
  new, old = world.load("pkg_nnx.models.big"), world.load("pkg.models.big")
  blocks, common = world.load("pkg_nnx.blocks"), world.load("pkg_nnx.common")
  was = world.load("pkg.common")
  block, norm = blocks.Block, common.Norm
  assert new.Big.parts == (block, norm, 7, norm, 7, block, block, was.Config, norm, new.Holder)
  assert new.Holder is not old.Holder  # it refers to a ported class, so it was copied
  assert new.Holder.kind is block
  assert new.Big().late() == (norm, 7, block)
  assert block.config is was.Config
  assert block.norm is norm
  assert block()(1) == (8, 7, 7, norm)
  assert isinstance(block()(1), world.load("pkg.blocks").Output)
  assert "from .common import Norm" in files["pkg_nnx/blocks.py"]
  assert "from pkg.common import" in files["pkg_nnx/blocks.py"]
  assert "math" in files["pkg_nnx/common.py"]
  assert "WIDTH" not in files["pkg_nnx/common.py"]


def test_one_line_split_in_two_and_unneeded_names_dropped(world):
  files = world.run(
    {
      "p/__init__.py": "",
      "p/x.py": "class A: pass\nclass B: pass\nclass C: pass\n",
      "p/y.py": "from .x import A, B, C\nclass D:\n  uses = A, B\n",
    },
    {"p.x": {"A"}, "p.y": {"D"}},
    {"p": "p_nnx"},
  )
  assert files["p_nnx/y.py"] == "from .x import A\nfrom p.x import B\nclass D:\n  uses = A, B\n"
  assert files["p_nnx/x.py"] == "class A: pass\n"


def test_two_packages_refer_to_each_other_by_their_new_names(world):
  files = world.run(
    {
      "layers/__init__.py": "",
      "layers/dense.py": "class Dense: pass\n",
      "top.py": "import jax.numpy as jnp, math\nfrom layers.dense import Dense\nclass Top:\n  d = Dense, math\n",
    },
    {"layers.dense": {"Dense"}, "top": {"Top"}},
    {"layers": "layers_nnx", "top": "top_nnx"},
  )
  assert files["top_nnx.py"].startswith("import math\nfrom layers_nnx.dense import Dense\n")
  assert world.load("top_nnx").Top.d[0] is world.load("layers_nnx.dense").Dense


def test_star_imports_become_the_names_that_are_needed(world):
  files = world.run(
    {
      "s/__init__.py": "",
      "s/a.py": "from .b import *\nclass A: pass\nTHREE = 3\n",
      "s/b.py": "class B: pass\n",
      "s/c.py": "from s.a import *\nfrom math import *\nclass C:\n  uses = A, B, THREE\n",
    },
    {"s.a": {"A"}, "s.b": {"B"}, "s.c": {"C"}},
    {"s": "s_nnx"},
  )
  assert "*" not in files["s_nnx/c.py"]
  new = world.load("s_nnx.c")
  assert new.C.uses == (world.load("s_nnx.a").A, world.load("s_nnx.b").B, 3)


def test_blocks_with_imports_are_rewritten_inside(world):
  files = world.run(
    {
      "t/__init__.py": "",
      "t/x.py": "class A: pass\nclass B: pass\n",
      "t/y.py": dedent("""
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
          from .x import A, B
          from os import PathLike
        else:
          PathLike = None
        try:
          from .x import A as Fast
          import math
          OK = True
        except ImportError:
          Fast = None
          OK = False

        class D:
          def f(self, a: "A", b: "B"): return Fast, OK
      """),
    },
    {"t.x": {"A"}, "t.y": {"D"}},
    {"t": "t_nnx"},
  )
  text = files["t_nnx/y.py"]
  assert "from .x import A\n  from t.x import B\n" in text
  assert "from .x import A as Fast" in text
  assert "import math  # noqa: F401" in text
  assert world.load("t_nnx.y").D().f(1, 2) == (world.load("t_nnx.x").A, True)


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


def test_nothing_of_the_original_is_imported_where_nothing_is_needed(world):
  files = world.run({"solo.py": "import flax.linen as nn\nclass A: pass\n"}, {"solo": {"A"}}, {"solo": "solo_nnx"})
  assert files == {"solo_nnx.py": "class A: pass\n"}


def test_definitions_in_a_package_init(world):
  files = world.run(
    {"q/__init__.py": "from .x import X\nclass A:\n  x = X\n", "q/x.py": "class X: pass\n"},
    {"q": {"A"}, "q.x": {"X"}},
    {"q": "q_nnx"},
  )
  assert sorted(files) == ["q_nnx/__init__.py", "q_nnx/x.py"]
  assert world.load("q_nnx").A.x is world.load("q_nnx.x").X


def test_reexports_beyond_the_sources_are_asked_for(world):
  world.run(
    {"u/__init__.py": "", "u/x.py": "class X: pass\n", "u/y.py": "from u.api import X\nclass Y:\n  x = X\n"},
    {"u.x": {"X"}, "u.y": {"Y"}},
    {"u": "u_nnx"},
    defined_in=lambda module, name: ("u.x", "X") if (module, name) == ("u.api", "X") else None,
  )
  assert world.load("u_nnx.y").Y.x is world.load("u_nnx.x").X


def test_a_name_that_is_not_there_is_refused():
  with pytest.raises(MigrateError, match="no top-level B"):
    extract({"m": "class A: pass\n"}, {"m": {"B"}}, {"m": "m_nnx"}, {"m": False})


def test_long_imports_are_wrapped(world):
  names = [f"a_rather_long_name_{i}" for i in range(8)]
  files = world.run(
    {"w.py": "".join(f"class {n}: pass\n" for n in names) + f"class K:\n  all = {', '.join(names)}\n"},
    {"w": {"K"}},
    {"w": "w_nnx"},
  )
  assert files["w_nnx.py"].startswith("from w import (\n    a_rather_long_name_0,\n")


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
