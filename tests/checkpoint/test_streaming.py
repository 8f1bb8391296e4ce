"""Checkpoints written leaf by leaf, with Orbax's own metadata."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from migrate.checkpoint.orbax import open_tree
from migrate.checkpoint.references import Reference
from migrate.checkpoint.streaming import may_copy, stream_tree

pytestmark = pytest.mark.filterwarnings("ignore")

TREE = {
  "a": jnp.arange(6.0).reshape(2, 3),
  "b": np.ones(3, np.int8),
  "h": jnp.ones(2, jnp.bfloat16),
}


@pytest.mark.parametrize("ocdbt", [True, False])
def test_stored_and_new_leaves_restore(tmp_path, ocdbt):
  ocp.PyTreeCheckpointer(use_ocdbt=ocdbt).save(tmp_path / "old", TREE)
  stored = open_tree(tmp_path / "old")
  assert may_copy(stored)
  leaves = [(("m", p[0], "value"), Reference((str(p[0]),), v.name, v.shape, v.dtype)) for p, v in stored.leaves.items()]
  leaves += [(("new",), np.full((3, 1), 2, np.float16)), (("list", 1), np.ones(())), (("n",), 3), (("none",), None)]
  stream_tree(tmp_path / "new", iter(leaves), stored)
  with ocp.StandardCheckpointer() as c:
    found = c.restore(tmp_path / "new")
  for name, want in TREE.items():
    value = found["m"][name]["value"]
    assert value.dtype == want.dtype
    np.testing.assert_array_equal(np.asarray(value), np.asarray(want))
  assert found["new"].dtype == np.float16
  assert found["list"][0] is None
  assert (found["n"], found["none"]) == (3, None)


def test_zarr3_is_not_copied_as_it_is(tmp_path):
  ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_zarr3=True)).save(tmp_path / "old", TREE)
  assert not may_copy(open_tree(tmp_path / "old"))


def test_leaves_are_taken_one_by_one(tmp_path):
  ocp.PyTreeCheckpointer().save(tmp_path / "old", TREE)
  alive = []

  class Big(np.ndarray):
    def __del__(self):
      alive.append(-1)

  def leaves():
    for i in range(20):
      alive.append(1)
      yield (f"l{i}",), np.zeros(8 << 20, np.uint8).view(Big)

  stream_tree(tmp_path / "new", leaves(), open_tree(tmp_path / "old"))
  peak = max(np.cumsum(alive))
  assert peak < 15  # of 20: some 64 MB are gathered before they are written
