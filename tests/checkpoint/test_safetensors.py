"""safetensors files: the same bits back, foreign files, damaged ones."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.checkpoint.safetensors import open_safetensors, write_safetensors
from migrate.core.report import MigrateError
from tests.checkpoint.small import check_damaged, check_lazy, check_written


def test_same_bits_and_paths_back(tmp_path):
  check_written(tmp_path / "x", write_safetensors, open_safetensors)


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
  check_lazy(tmp_path / "x", write_safetensors, open_safetensors)


@pytest.mark.parametrize("seed", range(300))
def test_damaged_file_is_an_error_or_right(tmp_path, seed):
  check_damaged(tmp_path / "x", write_safetensors, open_safetensors, np.random.default_rng(seed))


def test_foreign_names_are_split(tmp_path):
  write_safetensors(tmp_path / "x", {("a.b.c",): np.ones(2)})
  data = (tmp_path / "x").read_bytes()
  size = int.from_bytes(data[:8], "little")
  import json

  header = json.loads(data[8 : 8 + size])
  del header["__metadata__"]
  text = json.dumps(header).encode()
  (tmp_path / "x").write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
  assert list(open_safetensors(tmp_path / "x").leaves) == [("a", "b", "c")]


@pytest.mark.parametrize(
  "header",
  [
    b"[]",
    b'{"a": 1}',
    b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 9]}}',
    b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}',
    b'{"a": {"dtype": "F32", "shape": [4611686018427387904], "data_offsets": [0, 8]}}',
    b'{"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}',
    b'{"a": {"dtype": "F32", "shape": [true, 2], "data_offsets": [0, 8]}}',
    b'{"a": {"dtype": "object", "shape": [1], "data_offsets": [0, 8]}}',
    b'{"__metadata__": {"linen2nnx.paths": "{}"}, "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}',
    b'{"a":' * 5000,
  ],
)
def test_header_that_lies_is_an_error(tmp_path, header):
  (tmp_path / "x").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)
  with pytest.raises(MigrateError):
    open_safetensors(tmp_path / "x")


def test_header_longer_than_the_file_is_an_error(tmp_path):
  (tmp_path / "x").write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
  with pytest.raises(MigrateError, match="header of"):
    open_safetensors(tmp_path / "x")
