"""Renaming without reading: nothing is copied, Orbax restores it, the source may go."""

from __future__ import annotations

import shutil

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from migrate.checkpoint.by_reference import link_tree, why_not
from migrate.checkpoint.orbax import open_tree
from migrate.checkpoint.references import Reference
from migrate.core.report import MigrateError

pytestmark = pytest.mark.filterwarnings("ignore")

TREE = {
  "params": {f"l_{i}": {"k": jnp.arange(2000.0) + i, "h": jnp.ones(3, jnp.bfloat16)} for i in range(12)},
  "z": np.arange(5, dtype=np.int8),
  "step": 3,
}


@pytest.fixture
def source(tmp_path):
  with ocp.StandardCheckpointer() as c:
    c.save(tmp_path / "linen", TREE)
  return open_tree(tmp_path / "linen")


def reference(stored, *path):
  leaf = stored.leaves[path]
  return Reference(("/".join(map(str, path)),), leaf.name, leaf.shape, leaf.dtype)


def bytes_of_its_own(folder):
  return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and p.stat().st_nlink == 1)


def test_renamed_leaves_restore_after_the_source_is_gone(source, tmp_path):
  leaves = {
    ("model", "layers", str(i), n, "value"): reference(source, "params", f"l_{i}", n) for i in range(12) for n in "kh"
  }
  leaves[("model", "z", "value")] = reference(source, "z")
  leaves[("model", "new", "value")] = np.full((3, 2), 7.0, np.float32)
  leaves[("optimizer", "step", "value")] = np.asarray(3, np.uint32)
  leaves[("optimizer", "masked", "value")] = None
  leaves[("list", 10)] = reference(source, "params", "l_0", "h")
  leaves[("list", 2)] = np.ones(2)
  leaves[("number",)] = 4
  assert why_not(source, tmp_path / "nnx") == ""
  link_tree(source, tmp_path / "nnx", leaves.items())
  shutil.rmtree(tmp_path / "linen")
  stored = open_tree(tmp_path / "nnx")
  assert set(stored.leaves) == {p for p, v in leaves.items() if v is not None}
  with ocp.StandardCheckpointer() as c:
    found = c.restore(tmp_path / "nnx")
  for i in range(12):
    layer = found["model"]["layers"][str(i)]
    np.testing.assert_array_equal(layer["k"]["value"], TREE["params"][f"l_{i}"]["k"])
    assert layer["h"]["value"].dtype == jnp.bfloat16
  np.testing.assert_array_equal(found["model"]["z"]["value"], TREE["z"])
  np.testing.assert_array_equal(found["model"]["new"]["value"], np.full((3, 2), 7.0))
  assert found["optimizer"]["step"]["value"].dtype == np.uint32
  assert [None if x is None else x.shape for x in found["list"]] == [None, None, (2,), *[None] * 7, (3,)]
  assert found["number"] == 4


def test_data_is_linked_and_the_source_is_untouched(source, tmp_path):
  before = {p: p.read_bytes() for p in (tmp_path / "linen").rglob("*") if p.is_file()}
  leaves = {("model", f"l_{i}", n): reference(source, "params", f"l_{i}", n) for i in range(12) for n in "kh"}
  link_tree(source, tmp_path / "nnx", leaves.items())
  assert {p: p.read_bytes() for p in (tmp_path / "linen").rglob("*") if p.is_file()} == before
  linked = [p for p in (tmp_path / "nnx").rglob("*") if p.is_file() and p.stat().st_nlink > 1]
  assert linked
  with ocp.StandardCheckpointer() as c:
    found = c.restore(tmp_path / "nnx")
  assert sorted(found) == ["model"]


def test_where_it_cannot_be(source, tmp_path):
  ocp.PyTreeCheckpointer(use_ocdbt=False).save(tmp_path / "zarr", TREE)
  assert "not an OCDBT" in why_not(open_tree(tmp_path / "zarr"), tmp_path / "x")
  with pytest.raises(MigrateError, match="both sides"):
    link_tree(source, tmp_path / "nnx", [(("params", "a"), reference(source, "z"))])
