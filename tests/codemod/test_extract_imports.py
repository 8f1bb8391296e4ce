"""Imports of extracted files."""

import textwrap

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
      "t/y.py": textwrap.dedent("""
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


def test_nothing_of_the_original_is_imported_where_nothing_is_needed(world):
  files = world.run({"solo.py": "import flax.linen as nn\nclass A: pass\n"}, {"solo": {"A"}}, {"solo": "solo_nnx"})
  assert files == {"solo_nnx.py": "class A: pass\n"}


def test_reexports_beyond_the_sources_are_asked_for(world):
  world.run(
    {"u/__init__.py": "", "u/x.py": "class X: pass\n", "u/y.py": "from u.api import X\nclass Y:\n  x = X\n"},
    {"u.x": {"X"}, "u.y": {"Y"}},
    {"u": "u_nnx"},
    defined_in=lambda module, name: ("u.x", "X") if (module, name) == ("u.api", "X") else None,
  )
  assert world.load("u_nnx.y").Y.x is world.load("u_nnx.x").X


def test_long_imports_are_wrapped(world):
  names = [f"a_rather_long_name_{i}" for i in range(8)]
  files = world.run(
    {"w.py": "".join(f"class {n}: pass\n" for n in names) + f"class K:\n  all = {', '.join(names)}\n"},
    {"w": {"K"}},
    {"w": "w_nnx"},
  )
  assert files["w_nnx.py"].startswith("from w import (\n    a_rather_long_name_0,\n")


def test_linen_in_a_try_goes_with_its_last_use(world):
  text = """
    try:
      import json
      from flax import linen as nn
      from flax.linen import initializers
    except ImportError:
      json = None
    class X:
      init = initializers.ones
      json = json
    class Y:
      x = nn.Dense
    """
  files = world.run({"z.py": textwrap.dedent(text)}, {"z": {"X"}}, {"z": "z_nnx"})
  assert "linen as nn" not in files["z_nnx.py"]
  assert "  import json\n  from flax.linen import initializers\nexcept" in files["z_nnx.py"]
