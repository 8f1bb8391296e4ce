"""Mappings as files, modules and JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from migrate.core.declare import ModelMapping, copy, drop, fresh, move, tie
from migrate.core.ops import Concatenate, Split, Transpose
from migrate.core.report import MigrateError
from migrate.workflows.mapping import load_mapping, mapping_from_json, mapping_to_json, save_mapping

MAPPING = ModelMapping(
  (
    move("params/Dense_{i}/**", "layers/{i}/**"),
    move(("params", "Dense_0/kernel/scale"), "scale", variable="Scale"),
    move(["params/q", "params/k"], ["a", "b"], Transpose(), Concatenate((1, 2), axis=0)),
    drop("params/old/**", because="gone"),
    fresh(("layers", "3", "bias"), because="new"),
    tie("params/head", "embed", Transpose()),
    copy("params/old_embed", ["a", "b"], Split(2), variable="Cache"),
  ),
  name="sample",
  source="here",
  metadata={"made": "by hand"},
)


def test_file_is_read_back_and_reads_well(tmp_path):
  save_mapping(MAPPING, tmp_path / "mapping.json")
  assert load_mapping(tmp_path / "mapping.json") == MAPPING
  assert load_mapping(tmp_path) == MAPPING
  text = (tmp_path / "mapping.json").read_text()
  assert '{"move": "params/Dense_{i}/**", "to": "layers/{i}/**"}' in text
  assert '{"path": ["params", "Dense_0/kernel/scale"]}' in text
  assert [p.name for p in tmp_path.iterdir()] == ["mapping.json"]


def test_json_of_itself():
  assert mapping_from_json(json.loads(json.dumps(mapping_to_json(MAPPING)))) == MAPPING


@pytest.mark.parametrize(
  "rules",
  [
    3,
    [{}],
    [{"move": "a"}],
    [{"move": "a", "to": "b", "drop": "c"}],
    [{"move": "a", "to": "b", "extra": 1}],
    [{"move": "a", "to": "b", "ops": 3}],
    [{"move": "a", "to": "b", "ops": [{"op": "Nothing"}]}],
    [{"move": [], "to": "b"}],
    [{"move": {"path": []}, "to": "b"}],
    [{"move": {"path": [True]}, "to": "b"}],
    [{"move": "{", "to": "b"}],
    [{"move": "params/{i}", "to": "b"}],
    [{"drop": "a"}],
  ],
)
def test_rules_that_are_wrong_are_named(tmp_path, rules):
  (tmp_path / "m.json").write_text(json.dumps({"format": "linen2nnx.mapping", "version": 1, "rules": rules}))
  with pytest.raises(MigrateError):
    load_mapping(tmp_path / "m.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "linen2nnx.mapping", "version": 2}', "[" * 100_000])
def test_files_that_are_no_mapping(tmp_path, text):
  (tmp_path / "m.json").write_text(text)
  with pytest.raises(MigrateError, match=r"m\.json"):
    load_mapping(tmp_path / "m.json")


def test_python_file_and_named_object(tmp_path):
  (tmp_path / "my_rules_a.py").write_text(
    "from migrate.core.declare import ModelMapping, move\n"
    "MAPPING = ModelMapping((move('params/a', 'b'),))\n"
    "OTHER = ModelMapping((move('params/a', 'c'),))\n"
  )
  assert load_mapping(tmp_path / "my_rules_a.py").rules[0].target == (("b",),)
  assert load_mapping(f"{tmp_path / 'my_rules_a.py'}:OTHER").rules[0].target == (("c",),)
  with pytest.raises(MigrateError, match="MISSING is nothing"):
    load_mapping(f"{tmp_path / 'my_rules_a.py'}:MISSING")


@pytest.mark.parametrize("name", ["no_such_thing", "no.such.thing", "no_such.py", "no_such.json"])
def test_what_is_not_there(name):
  with pytest.raises(MigrateError):
    load_mapping(name)


def test_module_that_raises_is_an_error(tmp_path):
  (tmp_path / "my_rules_b.py").write_text("1 / 0\n")
  with pytest.raises(MigrateError, match="ZeroDivisionError"):
    load_mapping(tmp_path / "my_rules_b.py")


def test_loading_and_planning_need_neither_jax_nor_flax(tmp_path):
  save_mapping(MAPPING, tmp_path / "mapping.json")
  code = (
    "import sys, migrate\n"
    f"m = migrate.load_mapping({str(tmp_path / 'mapping.json')!r})\n"
    "migrate.make_plan({'params': {'a': 1}}, None, None)\n"
    "print(sorted({'jax', 'flax', 'libcst', 'orbax'} & set(sys.modules)))\n"
  )
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  assert done.stdout.strip() == "[]"
