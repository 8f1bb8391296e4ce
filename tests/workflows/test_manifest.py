"""Manifests and checksums."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from migrate.core.plan import make_plan
from migrate.core.report import MigrateError
from migrate.workflows.manifest import Summed, checksum, manifest_path, plans_of, read_manifest, write_manifest


def test_checksum_is_of_the_values_and_not_of_the_layout():
  array = np.arange(6.0).reshape(2, 3)
  assert checksum(array) == checksum(np.asfortranarray(array))
  others = [array.T, array.reshape(3, 2), array.astype(np.float32), -array, array.view(np.int64)]
  assert len({checksum(a) for a in (array, *others)}) == 6
  assert checksum(np.ones(2, ml_dtypes.bfloat16)) != checksum(np.ones(2, np.float16))
  checksum(np.zeros((0, 3)))
  checksum(np.float32(1))


def test_summed_leaf_notes_its_checksum():
  sums: dict[str, str] = {}
  leaf = Summed(np.ones(2), "a/b", sums)
  assert (leaf.shape, sums) == ((2,), {})
  leaf.read()
  assert sums == {"a/b": checksum(np.ones(2))}


def test_written_manifest_is_read(tmp_path):
  plan = make_plan({"params": {"a": np.ones(2)}}, None, None)
  write_manifest(manifest_path(tmp_path), {"plan": {"model": plan.to_json(), "optimizer": None}})
  data = read_manifest(tmp_path)
  assert data is not None
  assert plans_of(data) == (plan, None)
  assert {"linen2nnx", "flax", "jax"} <= set(data["versions"])


def test_manifest_of_a_file_stands_beside_it(tmp_path):
  assert manifest_path(tmp_path / "x.npz") == tmp_path / "x.npz.linen2nnx.json"
  assert read_manifest(tmp_path / "x.npz") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "linen2nnx.manifest", "version": 99}'])
def test_damaged_manifest_is_an_error(tmp_path, text):
  manifest_path(tmp_path).write_text(text)
  with pytest.raises(MigrateError):
    read_manifest(tmp_path)
