import ast
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.codemod.imports import Names, absolute_module, follow, tidy_imports
from migrate.codemod.imports_uses import module_level_names, read_names


def dedent(text: str) -> str:
  return textwrap.dedent(text).lstrip("\n")


@pytest.mark.parametrize(
  ("line", "dotted"),
  [
    ("import flax", "flax.linen.Dense"),
    ("import flax.linen", "flax.linen.Dense"),
    ("import flax.linen as nn", "nn.Dense"),
    ("from flax import linen as nn", "nn.Dense"),
    ("from flax import linen", "linen.Dense"),
    ("from flax.linen import Dense", "Dense"),
    ("from flax.linen import Dense as D", "D"),
    ("from flax.linen.linear import Dense", "Dense"),
    ("from flax.linen import linear", "linear.Dense"),
    ("import flax.linen as nn\nDense = nn.Dense", "Dense"),
    ("import flax.linen as nn\nD = nn\nDense = D.Dense\nLayer = Dense", "Layer"),
    ("try:\n  from flax import linen as nn\nexcept ImportError:\n  nn = None", "nn.Dense"),
    ("if True:\n  import flax.linen as nn\nelse:\n  nn = None", "nn.Dense"),
    ("import flax.linen as nn\nA, B = nn.Conv, nn.Dense", "B"),
  ],
)
def test_every_spelling_of_dense_is_the_same(line, dotted):
  names = Names(line, "pkg.mod")
  assert names.resolve(dotted) == "flax.linen.Dense"
  assert names.is_linen(names.resolve(dotted))


def test_names_of_the_file_builtins_and_other_packages():
  names = Names(
    dedent("""
      from functools import partial
      from . import common
      from .common import Block as B
      from ..top import f
      class Mine: pass
      x = 3
      def g(): pass
      y = g()
    """),
    "pkg.sub.mod",
  )
  assert names.resolve("Mine") == "pkg.sub.mod.Mine"
  assert names.resolve("x") == "pkg.sub.mod.x"
  assert names.resolve("y") == "pkg.sub.mod.y"
  assert names.resolve("partial") == "functools.partial"
  assert names.resolve("common.Block") == "pkg.sub.common.Block"
  assert names.resolve("B") == "pkg.sub.common.Block"
  assert names.resolve("f") == "pkg.top.f"
  assert names.resolve("len") is None
  assert not names.is_linen("flax.linenx.Dense")
  assert not names.is_linen(None)


def test_name_bound_again_means_the_later_thing():
  assert Names("from a import f\ndef f(): pass", "m").resolve("f") == "m.f"
  assert Names("def f(): pass\nfrom a import f", "m").resolve("f") == "a.f"
  assert Names("x = y\ny = x", "m").resolve("x") == "m.x"


def test_star_imports_are_reported_and_looked_up_when_asked():
  names = Names("from flax.linen import *\nfrom .a import *", "p.m")
  assert names.stars == ["flax.linen", "p.a"]
  assert names.resolve("Dense") is None
  asked = Names("from flax.linen import *\nfrom .a import *", "p.m", star_names={"flax.linen": ["Dense"]}.get)
  assert asked.resolve("Dense") == "flax.linen.Dense"


@pytest.mark.parametrize(
  ("module", "is_package", "level", "target", "full"),
  [
    ("a.b.c", False, 0, "x.y", "x.y"),
    ("a.b.c", False, 1, "x", "a.b.x"),
    ("a.b.c", False, 1, None, "a.b"),
    ("a.b.c", True, 1, "x", "a.b.c.x"),
    ("a.b.c", False, 2, "x", "a.x"),
    ("a.b.c", True, 2, None, "a.b"),
    ("a", False, 1, "x", None),
    ("a", True, 1, "x", "a.x"),
  ],
)
def test_relative_imports(module, is_package, level, target, full):
  assert absolute_module(module, is_package, level, target) == full


def test_relative_import_above_the_top_is_a_problem():
  assert "leads above a" in Names("from ... import x", "a.b").problems[0]


def test_follow_goes_through_reexports():
  modules = {
    "p": Names("from .common import *\nfrom .common import nn, Block", "p", is_package=True),
    "p.common": Names("import flax.linen as nn\nfrom .block import Block", "p.common"),
    "p.block": Names("class Block: pass", "p.block"),
  }
  assert follow("p.nn.Dense", modules) == "flax.linen.Dense"
  assert follow("p.Block", modules) == "p.block.Block"
  assert follow("p.Nothing", modules) == "p.Nothing"
  assert follow("jax.nn.relu", modules) == "jax.nn.relu"


def test_read_names_knows_scopes():
  tree = ast.parse(
    dedent("""
      def f(a, b=default, *c, d: Ann = 3, **e) -> "Ret":
        local = a + outer
        def inner(outer2): return outer2 + local + deep
        return [k for k in seq if k]
      class C(Base):
        field: "Quoted" = value
        def m(self): return field2
      g = lambda q: q + free
      t = typing.cast("Casted", g)
    """)
  )
  assert read_names(tree.body) == {
    *("default", "Ann", "Ret", "outer", "deep", "seq", "Base", "Quoted", "value"),
    *("field2", "free", "typing", "g", "Casted"),
  }
  assert "local" not in {n.id for n in module_level_names(tree.body)}


BEFORE = '''
# Licence
"""Doc."""
from __future__ import annotations

import functools
from typing import (
    Any,  # anything
    Callable,
    Tuple,
)

import flax.linen as nn  # layers
import jax, os
from flax import struct, core

from .common import A, B, C


def f(x: "Any") -> None:
  # a comment about functools
  return A(x), C, core
'''


def test_unused_imports_go_and_used_ones_stay():
  after = tidy_imports(
    BEFORE,
    add=["from flax import nnx", "import jax.numpy as jnp", "from .common import C"],
    remove_if_unused={"nn", "B", "struct", "Any", "Callable", "Tuple", "os", "functools", "A"},
  )
  expected = BEFORE
  for old, new in (
    ("import functools\n", ""),
    ("    Callable,\n    Tuple,\n", ""),
    ("import flax.linen as nn  # layers\n", "from flax import nnx\n"),
    ("import jax, os\n", "import jax\nimport jax.numpy as jnp\n"),
    ("struct, core", "core"),
    ("A, B, C", "A, C"),
  ):
    expected = expected.replace(old, new)
  assert after == expected


def test_all_type_comments_and_annotation_strings_count_as_use():
  source = 'from a import x, y, z, w\n__all__ = ["x"]\nq = 1  # type: y\ndef f(a: "z[int]"): pass\n'
  assert tidy_imports(source, add=[], remove_if_unused={"x", "y", "z", "w"}) == source.replace(", w", "")


def test_a_local_of_the_same_name_is_no_use():
  function = "def f(nn):\n  return nn\n"
  assert tidy_imports("import nn\n" + function, add=[], remove_if_unused={"nn"}) == function


def test_block_that_would_be_empty_goes_and_try_stays():
  source = dedent("""
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
      from a import b
    try:
      import c
    except ImportError:
      c = None
    x = 1
  """)
  after = tidy_imports(source, add=[], remove_if_unused={"b", "c", "TYPE_CHECKING"})
  assert "from a import b" not in after
  assert "import c" in after
  assert "if TYPE_CHECKING" not in after


def test_names_in_a_try_go_where_something_is_left_to_try():
  source = dedent("""
    try:
      import jax
      from flax import linen as nn
      from flax.linen import initializers as init
    except ImportError:
      jax = None
    x = jax
  """)
  after = tidy_imports(source, add=["from flax import nnx"], remove_if_unused={"nn", "init"})
  assert "try:\n  import jax\nexcept ImportError:\n" in after


def test_added_imports_find_their_place():
  source = dedent('''
    #!/usr/bin/env python
    """Doc."""

    import os

    import jax
    import numpy as np

    from . import x

    print(os, jax, np, x)
  ''')
  add = ["from flax import nnx", "import sys", "from .y import z", "import optax"]
  after = tidy_imports(source, add=add, remove_if_unused=set())
  assert after == dedent('''
    #!/usr/bin/env python
    """Doc."""

    import os
    import sys

    from flax import nnx
    import jax
    import numpy as np
    import optax

    from . import x
    from .y import z

    print(os, jax, np, x)
  ''')
  assert tidy_imports(after, add=["from flax import nnx"], remove_if_unused=set()) == after


@pytest.mark.parametrize(
  ("source", "after"),
  [
    ("", "import a\n"),
    ('"""Doc."""\n', '"""Doc."""\n\nimport a\n'),
    ('"""Doc."""', '"""Doc."""\n\nimport a\n'),
    ("from __future__ import annotations\nx = 1\n", "from __future__ import annotations\n\nimport a\nx = 1\n"),
    ("x = 1\n", "import a\n\nx = 1\n"),
    ("# Licence\n\n# about x\nx = 1\n", "# Licence\n\nimport a\n\n# about x\nx = 1\n"),
    ("# Licence\n@d\ndef f(): pass\n", "# Licence\nimport a\n\n@d\ndef f(): pass\n"),
    ("import b\r\nx = 1\r\n", "import a\r\nimport b\r\nx = 1\r\n"),
    ("\ufeffimport b\n", "\ufeffimport a\nimport b\n"),
    ("from .x import y\n", "import a\n\nfrom .x import y\n"),
    ("import os\n", "import os\n\nimport a\n"),
  ],
)
def test_first_import_of_a_file(source, after):
  assert tidy_imports(source, add=["import a"], remove_if_unused=set()) == after


NAMES = ["a", "b", "c", "d", "e"]


@given(
  names=st.lists(st.sampled_from(NAMES), unique=True, min_size=1),
  dead=st.sets(st.sampled_from(NAMES)),
  breaks=st.lists(st.sampled_from([" ", "\n    ", "  # why é\n    "]), min_size=6, max_size=6),
  trailing=st.booleans(),
  plain=st.booleans(),
)
def test_any_names_can_be_dropped_from_any_layout(names, dead, breaks, trailing, plain):
  if plain:
    line = "from m import " + ", ".join(names)
  else:
    inner = ",".join(b + n for b, n in zip(breaks, names, strict=False)).replace("  # why é\n    ,", ",")
    line = f"from m import ({inner}{',' if trailing else ''}" + (")" if breaks[5] == " " else "\n)")
  source = "import z\n" + line + "\nüber = 1  # stays\n"
  ast.parse(source)
  after = tidy_imports(source, add=[], remove_if_unused=dead)
  left = [n.name for node in ast.parse(after).body if isinstance(node, ast.ImportFrom) for n in node.names]
  assert left == [n for n in names if n not in dead]
  assert after.startswith("import z\n")
  assert after.endswith("\nüber = 1  # stays\n")
  assert tidy_imports(after, add=[], remove_if_unused=dead) == after


def test_star_stays_when_other_imports_go():
  source = "from typing import *\nfrom flax import linen as nn\n\nx: Optional[int] = None\n"
  tidy = tidy_imports(source, add=["from flax import nnx"], remove_if_unused={"nn", "*"})
  assert tidy == "from typing import *\nfrom flax import nnx\n\nx: Optional[int] = None\n"


OWN = "from __templates__.scan import scan"


@pytest.mark.parametrize(
  ("source", "after"),
  [
    ("import jax\nimport os\n\nx = 1\n", f"from flax import nnx\nimport jax\nimport os\n\n{OWN}\n\nx = 1\n"),
    (
      "import os\n\nimport jax\n\nfrom mine.b import c\n\nx = 1\n",
      f"import os\n\nfrom flax import nnx\nimport jax\n\n{OWN}\nfrom mine.b import c\n\nx = 1\n",
    ),
    (
      "import jax\n\nfrom .b import c\n\nx = 1\n",
      f"from flax import nnx\nimport jax\n\nfrom .b import c\n{OWN}\n\nx = 1\n",
    ),
    ("import sys\n\nx = 1\n", f"import sys\n\nfrom flax import nnx\n\n{OWN}\n\nx = 1\n"),
    ('"""Doc."""\n\nx = 1\n', f'"""Doc."""\n\nfrom flax import nnx\n\n{OWN}\n\nx = 1\n'),
  ],
)
def test_imports_of_the_own_package_come_last(source, after):
  add = [OWN, "from flax import nnx"]
  found = tidy_imports(source, add=add, remove_if_unused=set(), own="mine")
  assert found == after
  assert tidy_imports(found, add=add, remove_if_unused=set(), own="mine") == found
