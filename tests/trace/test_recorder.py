"""What a trace notes: activations, calls, where modules were made; and what it leaves as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from flax import linen as nn

from migrate.trace.facts import ArraySpec
from migrate.trace.recorder import class_file, origin_of
from tests.codemod.support import rewrite

SOURCE = """
def twice(x):
  return x + x

class Block(nn.Module):
  features: int

  @nn.compact
  def __call__(self, x):
    return nn.Dense(self.features)(twice(x))

class Model(nn.Module):
  @nn.compact
  def __call__(self, x, train: bool = False):
    for i in range(2):
      x = Block(7, name=f"block_{i}")(x)
    return x
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
  return rewrite(tmp_path_factory.mktemp("recorder"), SOURCE, "Model(), x(2, 5)").facts[0]


def test_methods_saw_their_module_and_path(facts):
  runs = [a for a in facts.activations if a.qualname == "Block.__call__" and not a.extra and not a.initializing]
  assert [a.path for a in runs] == [("block_0",), ("block_1",)]
  assert [type(a.module).__name__ for a in runs] == ["Block", "Block"]
  assert [a.arguments["x"] for a in runs] == [ArraySpec((2, 5), "float32"), ArraySpec((2, 7), "float32")]


def test_initializing_is_told_from_calling(facts):
  runs = [a for a in facts.activations if a.qualname == "Model.__call__"]
  assert [(a.initializing, a.extra) for a in runs] == [(True, False), (False, False), (False, True)]


def test_functions_work_for_the_module_that_calls_them(facts):
  run = next(a for a in facts.activations if a.qualname == "twice")
  assert run.parent.qualname == "Block.__call__"
  assert run.module is run.parent.module
  line = Path(run.file).read_text().splitlines()[run.call_position[0] - 1]
  assert line[run.call_position[1] : run.call_position[3]] == "twice(x)"


def test_calls_in_order_with_outputs(facts):
  calls = [c for c in facts.calls if c.run == 1 and c.method == "__call__"]
  assert [(c.cls.__name__, c.path) for c in calls] == [
    ("Model", ()),
    ("Block", ("block_0",)),
    ("Dense", ("block_0", "Dense_0")),
    ("Block", ("block_1",)),
    ("Dense", ("block_1", "Dense_0")),
  ]
  assert [c.depth for c in calls] == [1, 2, 3, 2, 3]
  assert calls[2].output == ArraySpec((2, 7), "float32")


def test_origin_is_the_call_expression(facts):
  dense = next(c.module for c in facts.calls if c.cls is nn.Dense)
  origin = origin_of(dense)
  assert origin.activation.qualname == "Block.__call__"
  assert origin.index == 0


def test_module_made_outside_has_no_origin(facts):
  assert origin_of(facts.example.module) is None


def test_classes_and_files_reached(facts):
  assert [c.__name__ for c in facts.classes] == ["Model", "Block"]
  assert list(facts.files.values()) == ["model"]


def test_clone_is_as_before():
  assert nn.Module.clone.__module__ == "flax.linen.module"


def test_class_file_of_a_class_of_this_file():
  class Here(nn.Module):
    def __call__(self, x):
      return x

  assert class_file(Here) == __file__


def test_class_file_of_a_built_in_class_is_none():
  assert class_file(int) is None
