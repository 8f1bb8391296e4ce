"""The registered records as one list."""

from __future__ import annotations

import dataclasses

import pytest

from migrate.core.declare import LayerMapping, ModelMapping, drop, move
from migrate.core.report import MigrateError
from migrate.workflows.records import Record, check_mapping, check_record, find_records, records


def test_every_kind_is_there_in_order():
  kinds = [r.kind for r in records()]
  assert {"layer", "transform", "optimizer"} <= set(kinds)
  assert kinds == sorted(kinds, key=("layer", "transform", "optimizer", "model", "unsupported").index)
  assert len({(r.kind, r.name) for r in records()}) == len(kinds)


def test_every_record_can_be_shown():
  for record in records():
    details = record.details()
    assert details, record.name
    assert all(isinstance(text, str) and text and "<function" not in text for _, text in details), record.name


def test_a_record_is_found_by_its_name_or_its_end():
  (dense,) = find_records("flax.linen.Dense")
  assert find_records("Dense") == [dense]
  assert ("nnx", "flax.nnx.Linear") in dense.details()
  assert any("params/kernel" in text for name, text in dense.details() if name == "leaves")


def test_the_nearest_name_is_told():
  with pytest.raises(MigrateError, match="nearest: Dense"):
    find_records("Dens")


def test_rules_of_a_model_are_shown_in_words():
  mapping = ModelMapping((move("params/a/**", "b/**"), drop("params/c", because="unused")), name="x")
  said = [text for name, text in Record("model", "x", "", "", mapping).details() if name == "rules"]
  assert said[0].startswith("rule 1 (move params/a/** -> b/**")


def test_a_layer_that_does_not_hold_is_found():
  (record,) = find_records("flax.linen.Dense")
  assert check_record(record) == ()
  assert isinstance(record.value, LayerMapping)
  leaves = (dataclasses.replace(record.value.leaves[0], nnx=(("weight",),)), *record.value.leaves[1:])
  bad = dataclasses.replace(record, value=dataclasses.replace(record.value, leaves=leaves))
  assert check_record(bad)
  no_sample = dataclasses.replace(record, value=dataclasses.replace(record.value, example=None))
  assert [f.severity for f in check_record(no_sample)] == ["note"]


def test_a_mapping_file_is_checked_by_form(tmp_path):
  good = "from migrate.core.declare import ModelMapping, move\nMAPPING = ModelMapping((move('params/a', 'b'),))\n"
  (tmp_path / "good.py").write_text(good)
  record = check_mapping(str(tmp_path / "good.py"))
  assert (record.kind, record.name, record.nnx) == ("model", "good.py", "1 rules")
  assert check_record(record) == ()
  (tmp_path / "bad.py").write_text(good.replace("'b'", "'b/{i}'"))
  with pytest.raises(MigrateError):
    check_mapping(str(tmp_path / "bad.py"))
