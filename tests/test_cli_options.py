"""Checks of the command line that touch nothing of the user's."""

import json

import pytest

from migrate.cli_options import WrongCommandError, check_examples, check_free, check_missing, write_json


def test_remote_paths_are_left_to_orbax():
  check_missing("--checkpoint", "gs://bucket/checkpoint")
  check_free("--checkpoint-out", "s3://bucket/checkpoint", overwrite=False)


def test_options_that_were_not_given_pass():
  check_missing("--checkpoint", None)
  check_free("--checkpoint-out", None, overwrite=False)


def test_a_module_is_not_imported_to_check_it():
  check_examples(["no.such.module:function"])


@pytest.mark.parametrize("text", ["", ":", "a:", ":f", "a.b", "missing.py:f"])
def test_what_is_no_example_is_wrong(text):
  with pytest.raises(WrongCommandError):
    check_examples([text])


def test_json_with_values_that_json_lacks(tmp_path):
  write_json({"path": tmp_path}, str(tmp_path / "a" / "b.json"))
  assert json.loads((tmp_path / "a" / "b.json").read_text()) == {"path": str(tmp_path)}
  write_json({}, None)
