"""The example contract: how a text becomes an example, and what is said where it does not."""

import sys

import pytest

from migrate import Call, Example, MigrateError
from migrate.example import ExampleSpec

FILE = """
import migrate

def good():
  return migrate.Example("module", (1,), {"train": False}, calls=(migrate.Call((2,), rngs=("dropout",)),))

def wrong():
  return 3

def fails():
  raise RuntimeError("no data here")

class Group:
  @staticmethod
  def inner():
    return migrate.Example("inner")
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
  """A file of examples; what importing it changes is undone."""
  path = tmp_path / "my_examples.py"
  path.write_text(FILE)
  monkeypatch.setattr(sys, "path", list(sys.path))
  before = set(sys.modules)
  yield path
  for name in set(sys.modules) - before:
    del sys.modules[name]


def test_a_function_of_a_file(file):
  example = ExampleSpec.parse(f"{file}:good").build()
  assert example.module == "module"
  assert example.first_call == Call((1,), {"train": False})
  assert [call.args for call in example.all_calls] == [(1,), (2,)]


def test_the_file_is_imported_once(file):
  first = ExampleSpec.parse(f"{file}:good").load()
  assert ExampleSpec.parse(f"{file}:good").load() is first


def test_two_files_of_one_name_are_kept_apart(file, tmp_path):
  other = tmp_path / "other" / file.name
  other.parent.mkdir()
  other.write_text(FILE.replace('"module"', '"another"'))
  assert ExampleSpec.parse(f"{file}:good").build().module == "module"
  assert ExampleSpec.parse(f"{other}:good").build().module == "another"


def test_a_module_of_the_current_folder(file, monkeypatch):
  monkeypatch.chdir(file.parent)
  assert ExampleSpec.parse("my_examples:good").build().module == "module"


def test_a_function_inside_a_class(file):
  spec = ExampleSpec.parse(f"{file}:Group.inner")
  assert spec.build().module == "inner"


@pytest.mark.parametrize(
  ("text", "said"),
  [
    ("nocolon", "not an example"),
    (":function", "not an example"),
    ("module:", "not an example"),
    ("no.such.module:function", "no module no"),
    ("missing.py:function", "no such file"),
    ("FILE:absent", "has no function absent"),
    ("FILE:wrong", "the example returned int"),
    ("FILE:fails", "the example raised RuntimeError: no data here"),
  ],
)
def test_what_is_said_of_a_bad_example(file, text, said):
  with pytest.raises(MigrateError, match=said) as caught:
    ExampleSpec.parse(text.replace("FILE", str(file))).build()
  (finding,) = caught.value.findings
  assert finding.wanted
  assert finding.do


def test_a_misspelt_example_is_told_those_that_can_be_called(tmp_path):
  path = tmp_path / "models.py"
  path.write_text("from typing import Any\nclass Model: ...\ndef small(): ...\ndef sized(n): ...\ndef wide(n=3): ...\n")
  with pytest.raises(MigrateError) as caught:
    ExampleSpec.parse(f"{path}:smal").load()
  assert caught.value.findings[0].do == "it has small, wide"
  path = tmp_path / "no_functions.py"
  path.write_text("class Model: ...\n")
  with pytest.raises(MigrateError) as caught:
    ExampleSpec.parse(f"{path}:smal").load()
  assert caught.value.findings[0].do == "write one that returns a migrate.Example"


def test_a_file_that_does_not_import_leaves_nothing_behind(tmp_path, monkeypatch):
  monkeypatch.setattr(sys, "path", list(sys.path))
  path = tmp_path / "broken_examples.py"
  path.write_text("1 / 0")
  with pytest.raises(MigrateError, match="ZeroDivisionError"):
    ExampleSpec.parse(f"{path}:f").build()
  assert "broken_examples" not in sys.modules


def test_examples_are_frozen_and_options_are_by_name():
  with pytest.raises(AttributeError):
    Example("module").module = "other"  # type: ignore[misc]
  with pytest.raises(TypeError):
    Example("module", (), {}, ())  # type: ignore[misc]
