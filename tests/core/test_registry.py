import importlib.metadata
import sys

import pytest

from migrate.core import registry
from migrate.core.declare import LayerMapping
from migrate.core.report import MigrateError

RECORD = """
from migrate.core.declare import LayerMapping
MAPPING = LayerMapping(linen="{linen}", nnx="flax.nnx.Linear", source="", inputs="", output="", args=(), leaves=())
"""


@pytest.fixture
def other_package(tmp_path, monkeypatch):
  """Makes a package of mappings and registers it, as an installed distribution would."""

  def make(name, files):
    for path, text in {"__init__.py": "", "layers/__init__.py": "", **files}.items():
      file = tmp_path / name / path
      file.parent.mkdir(parents=True, exist_ok=True)
      file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    points = [importlib.metadata.EntryPoint("theirs", name, registry.GROUP)]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points if group == registry.GROUP else [])
    _forget()

  yield make
  monkeypatch.undo()
  for name in [n for n in sys.modules if n.startswith("theirs_")]:
    del sys.modules[name]
  _forget()


def _forget():
  for function in vars(registry).values():
    if hasattr(function, "cache_clear"):
      function.cache_clear()


def test_the_built_in_records_are_found():
  layers = registry.load_layers()
  assert layers["flax.linen.Dense"].nnx == "flax.nnx.Linear"
  assert all(name == record.linen for name, record in layers.items())
  assert all(isinstance(record, LayerMapping) for record in layers.values())
  assert registry.load_alternatives()["flax.linen.OptimizedLSTMCell"][0].nnx == "flax.nnx.OptimizedLSTMCell"
  assert "optax.ScaleByAdamState" in registry.load_optimizers()


def test_another_package_adds_records_and_templates(other_package):
  files = {"layers/mine.py": RECORD.format(linen="theirs.Layer"), "templates/own.py": "X = 1\n"}
  other_package("theirs_a", files)
  assert "theirs.Layer" in registry.load_layers()
  assert "flax.linen.Dense" in registry.load_layers()
  assert registry.template_source("own") == "X = 1\n"
  assert "class GRUCell" in registry.template_source("gru")


def test_two_records_for_one_class_are_refused(other_package):
  other_package("theirs_b", {"layers/dense.py": RECORD.format(linen="flax.linen.Dense")})
  with pytest.raises(MigrateError, match=r"both declare flax\.linen\.Dense"):
    registry.load_layers()


def test_a_package_that_does_not_import_is_named(other_package):
  other_package("theirs_c", {"__init__.py": "import nothing_of_that_name\n"})
  with pytest.raises(MigrateError, match="theirs_c"):
    registry.load_layers()


def test_templates_are_not_imported(other_package):
  other_package("theirs_d", {"templates/__init__.py": "", "templates/bad.py": "raise SystemExit\n"})
  assert registry.load_layers()


def test_an_unknown_template_is_refused():
  with pytest.raises(MigrateError, match=r"templates/nowhere\.py"):
    registry.template_source("nowhere")


def test_templates_are_found_by_name():
  assert callable(registry.load_template("linen_rngs").set_rngs)
  with pytest.raises(MigrateError, match=r"no mapping package has templates/none_such\.py"):
    registry.load_template("none_such")
