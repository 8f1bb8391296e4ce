"""msgpack files: what flax writes is read, what flax reads is written, damaged ones are errors."""

from __future__ import annotations

import struct

import jax.numpy as jnp
import msgpack
import numpy as np
import optax
import pytest
from flax import serialization

from migrate.checkpoint.msgpack import open_msgpack, write_msgpack
from migrate.core.report import MigrateError
from tests.checkpoint.small import LEAVES, check, mangled, one_screen

TREE = {"params": {"a": np.arange(6.0).reshape(2, 3), "b": jnp.ones(2, jnp.bfloat16)}, "step": 3, "none": None}


def test_what_flax_writes_is_read(tmp_path):
  state = {**TREE, "opt_state": optax.adamw(1e-3).init(TREE["params"])}
  (tmp_path / "checkpoint_12").write_bytes(serialization.to_bytes(state))
  stored = open_msgpack(tmp_path / "checkpoint_12")
  assert stored.step == 12
  assert stored.numbers == {("step",)}
  assert ("opt_state", "1") in stored.empty
  assert ("opt_state", "0", "mu", "a") in stored.leaves
  np.testing.assert_array_equal(stored.leaves[("params", "a")].read(), TREE["params"]["a"])


def test_what_is_written_flax_reads(tmp_path):
  write_msgpack(tmp_path / "x", TREE)
  found = serialization.msgpack_restore((tmp_path / "x").read_bytes())
  np.testing.assert_array_equal(found["params"]["a"], TREE["params"]["a"])
  assert found["step"] == 3


def test_same_bits_back(tmp_path):
  tree: dict = {}
  for path, leaf in LEAVES.items():
    node = tree
    for segment in path[:-1]:
      node = node.setdefault(str(segment), {})
    node[str(path[-1])] = leaf
  write_msgpack(tmp_path / "x", tree)
  check(open_msgpack(tmp_path / "x"))


def test_chunked_arrays_are_joined(tmp_path, monkeypatch):
  monkeypatch.setattr(serialization, "MAX_CHUNK_SIZE", 16)
  (tmp_path / "x").write_bytes(serialization.to_bytes({"a": np.arange(20.0).reshape(4, 5)}))
  np.testing.assert_array_equal(open_msgpack(tmp_path / "x").leaves[("a",)].read(), np.arange(20.0).reshape(4, 5))


@pytest.mark.parametrize("seed", range(500))
def test_damaged_file_is_an_error_or_right(tmp_path, seed):
  (tmp_path / "x").write_bytes(mangled(serialization.to_bytes(TREE), np.random.default_rng(seed)))
  try:
    for leaf in open_msgpack(tmp_path / "x").leaves.values():
      leaf.read()
  except MigrateError as error:
    one_screen(error)


def array(shape, dtype, data):
  return msgpack.ExtType(1, msgpack.packb((shape, dtype, data)))


@pytest.mark.parametrize(
  "tree",
  [
    [1, 2],
    {"a": "text"},
    {"a": array([1 << 62], "float32", b"")},
    {"a": array([2], "float32", b"1234")},
    {"a": array([1], "object", b"12345678")},
    {"a": array([-1], "float32", b"1234")},
    {"a": msgpack.ExtType(9, b"x")},
    {"a": {"__msgpack_chunked_array__": True, "shape": {"0": 4}, "chunks": {}}},
    {"a": {"__msgpack_chunked_array__": True, "shape": 3}},
    {"a": 1 << 63},
  ],
)
def test_trees_that_cannot_be_right(tmp_path, tree):
  (tmp_path / "x").write_bytes(msgpack.packb(tree))
  try:
    open_msgpack(tmp_path / "x")
  except MigrateError:
    return
  assert tree == {"a": 1 << 63}


@pytest.mark.parametrize(
  "data", [b"\xdf\xff\xff\xff\xff", b"\x81\xa1a" * 500 + b"\xc0", b"\xdd" + struct.pack(">I", 1 << 31), b"\x81\xc7"]
)
def test_bombs_are_errors(tmp_path, data):
  (tmp_path / "x").write_bytes(data)
  with pytest.raises(MigrateError):
    open_msgpack(tmp_path / "x")
