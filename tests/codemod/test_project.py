"""Facts beside sources: classes and their fields, events of expressions, records of layers."""

from __future__ import annotations

import ast

import pytest

from migrate.codemod.project import find_class, has_array
from migrate.trace.facts import ArraySpec
from tests.codemod.support import port_and_check, rewrite

TREE = ast.parse("""
class A:
  class B:
    pass
def f():
  if True:
    class A:
      x = 1
def g():
  class A:
    pass
""")


@pytest.mark.parametrize(
  ("qualname", "line"), [("A", 2), ("A.B", 3), ("f.<locals>.A", 7), ("g.<locals>.A", 10), ("h", None), ("A.C", None)]
)
def test_class_is_found_by_its_qualified_name(qualname, line):
  found = find_class(TREE, qualname)
  assert (found.lineno if found else None) == line


SOURCE = """
import dataclasses
from typing import ClassVar

class Base(nn.Module):
  width: int = 7

class Model(Base):
  kind: ClassVar[str] = "a"
  depth: int = 2
  _: dataclasses.KW_ONLY
  rate: float = 0.1

  @nn.compact
  def __call__(self, x):
    y = x
    for i in range(self.depth):
      y = nn.Dense(self.width)(y)
    return y

  def other(self):
    return 1

class Unused(nn.Module):
  pass
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
  return rewrite(tmp_path_factory.mktemp("project"), SOURCE, "Model(), x(2, 5)").project


def info_of(project, name):
  return next(i for i in project.classes.values() if i.name == name)


def node_of(project, text):
  source = info_of(project, "Model").source
  return source, next(n for n in ast.walk(source.tree) if isinstance(n, ast.expr) and source.code(n) == text)


def test_reached_classes_and_their_bases_only(project):
  assert sorted(i.name for i in project.classes.values()) == ["Base", "Model"]


def test_fields_as_written(project):
  fields = info_of(project, "Model").fields
  assert [(f.name, f.annotation, f.default, f.keyword_only) for f in fields] == [
    ("depth", "int", "2", False),
    ("rate", "float", "0.1", True),
  ]


def test_bases_and_compact_methods(project):
  model = info_of(project, "Model")
  assert [b.name for b in model.bases] == ["Base"]
  assert model.compact_methods() == ["__call__"]
  assert sorted(model.methods) == ["__call__", "other"]


def test_every_value_of_an_expression_in_order(project):
  source, node = node_of(project, "nn.Dense(self.width)(y)")
  shapes = [e.value.shape for e in project.events(source, node)]
  assert shapes == [(2, 7)] * 4  # two rounds of `init`, two of the call


def test_calls_of_a_layer_by_where_it_was_made(project):
  source, node = node_of(project, "nn.Dense(self.width)")
  modules = [e.value for e in project.events(source, node)]
  assert [len(project.calls_of(m)) for m in modules] == [1, 1, 1, 1]


def test_expression_that_never_ran_has_no_value(project):
  source = info_of(project, "Model").source
  method = info_of(project, "Model").methods["other"]
  assert project.events(source, method.body[0].value) == []  # type: ignore[attr-defined]


def test_record_by_full_name_only(project):
  from flax import linen as nn

  class Dense(nn.Module):
    pass

  assert project.record(nn.Dense).linen == "flax.linen.Dense"
  assert project.record(Dense) is None


def test_class_behind_a_transform(project):
  from flax import linen as nn

  assert project.plain(nn.remat(nn.Dense)) is nn.Dense
  assert project.plain(nn.Dense) is nn.Dense
  assert project.plain(int) is int


@pytest.mark.parametrize(
  ("value", "wanted"),
  [
    (ArraySpec((2,), "int32"), True),
    ([1, (ArraySpec((), "int32"),)], True),
    ({"a": [1]}, False),
    (3, False),
    (None, False),
  ],
)
def test_arrays_are_found_in_containers(value, wanted):
  assert has_array(value) is wanted


def test_classes_that_a_function_of_another_file_chooses_from(tmp_path):
  source = {
    "pkg/__init__.py": "",
    "pkg/blocks.py": """
    from flax import linen as nn
    import jax.numpy as jnp


    class Wide(nn.Module):
      width: int = 7

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(x)


    class Scaled(nn.Module):
      def setup(self):
        self.scale = self.param("scale", nn.initializers.ones, ())

      def __call__(self, x):
        return x * self.scale


    def block(kind):
      known = {"wide": Wide, "scaled": Scaled}
      return known[kind]
    """,
    "pkg/model.py": """
    from flax import linen as nn

    from pkg.blocks import block


    class Model(nn.Module):
      kind: str = "wide"

      @nn.compact
      def __call__(self, x):
        return block(self.kind)()(x)
    """,
  }
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", module="pkg.model", clean=False)
  blocks = next(p.read_text() for p in ported.out.rglob("blocks.py"))
  assert "class Scaled(nnx.Module):" in blocks
  assert "def block(kind):" in blocks
  assert "linen" not in blocks
