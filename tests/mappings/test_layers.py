"""Every public Linen layer has a record or a reason; every record's file has its test."""

import ast
import inspect
import pathlib
import sys

import pytest
from flax import linen as nn

import mappings.layers
import mappings.templates
from migrate.core import registry

LAYERS = pathlib.Path(mappings.layers.__file__).parent
TEMPLATES = pathlib.Path(mappings.templates.__file__).parent
ABSTRACT = {"Module"}


def public_layers():
  """Names of `flax.linen` that are layer classes; an alias stands for its class."""
  classes = {n: c for n, c in vars(nn).items() if inspect.isclass(c) and not n.startswith("_")}
  return {n for n, c in classes.items() if (issubclass(c, nn.Module) or c is nn.BatchApply) and n not in ABSTRACT}


def test_every_public_layer_has_a_record_or_a_reason():
  known = {name.rpartition(".")[2] for name in (*registry.load_layers(), *registry.load_unsupported())}
  assert public_layers() - known == set()
  assert known - public_layers() == set()


def test_reasons_are_few_and_said():
  for record in registry.load_unsupported().values():
    assert len(record.because) > 40
  assert len(registry.load_unsupported()) <= 5


@pytest.mark.parametrize("file", sorted(LAYERS.glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_every_record_has_its_test(file):
  assert (pathlib.Path(__file__).parent / "layers" / f"test_{file.stem}.py").exists()


@pytest.mark.parametrize("file", sorted(TEMPLATES.glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_templates_stand_alone(file):
  tree = ast.parse(file.read_text())
  names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
  names |= {f"{n.module}.{a.name}" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
  others = {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}
  others = {name for name in others if not name.startswith("mappings.templates.")}
  assert {name.partition(".")[0] for name in others} <= {"jax", "flax", "numpy"}  # which jax itself needs
  assert not any(name.startswith("flax.linen") for name in others)
  assert ast.get_docstring(tree)
