"""Orbax folders: every layout of today's Orbax, damaged ones, and what is none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest

from migrate.checkpoint.detect import open_checkpoint
from migrate.checkpoint.orbax import open_tree, write_orbax
from migrate.core.report import MigrateError
from tests.checkpoint.small import mangled, one_screen

pytestmark = pytest.mark.filterwarnings("ignore")

TREE = {
  "step": 3,
  "lr": 0.5,
  "params": {"a/b.c": jnp.arange(6.0).reshape(2, 3), "half": jnp.ones(2, jnp.bfloat16), "np": np.ones(3, np.int8)},
  "opt_state": optax.chain(optax.clip(1.0), optax.adam(1e-3)).init({"w": jnp.zeros(4)}),
  "empty": {},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  folder = tmp_path_factory.mktemp("orbax")
  with ocp.StandardCheckpointer() as c:
    c.save(folder / "standard", TREE)
  ocp.PyTreeCheckpointer(use_ocdbt=False).save(folder / "zarr", TREE)
  ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_zarr3=True)).save(folder / "zarr3", TREE)
  for step in (9, 10):
    with ocp.CheckpointManager(folder / "manager") as manager:
      manager.save(step, args=ocp.args.StandardSave(TREE))
  with ocp.CheckpointManager(folder / "items") as manager:
    manager.save(1, args=ocp.args.Composite(a=ocp.args.StandardSave(TREE), b=ocp.args.StandardSave(TREE)))
  return folder


@pytest.mark.parametrize("how", ["standard", "zarr", "zarr3", "manager"])
def test_leaves_of_each_layout(saved, how):
  stored = open_tree(saved / how)
  assert stored.step == (10 if how == "manager" else None)
  assert stored.numbers == {("step",), ("lr",)}
  assert ("opt_state", 0) in stored.empty
  assert ("empty",) in stored.empty
  assert stored.leaves[("opt_state", 1, 0, "mu", "w")].shape == (4,)
  for name, want in TREE["params"].items():
    leaf = stored.leaves[("params", name)]
    found = leaf.read()
    assert (leaf.shape, leaf.dtype) == (want.shape, want.dtype)
    assert np.asarray(found).tobytes() == np.asarray(want).tobytes()
  assert int(stored.leaves[("step",)].read()) == 3


def test_metadata_needs_neither_orbax_nor_jax(saved):
  code = (
    "import sys\nfrom migrate.workflows.inspect import inspect_checkpoint\n"
    f"found = inspect_checkpoint({str(saved / 'standard')!r})\n"
    "print(len(found.leaves), sorted({'jax', 'orbax', 'flax'} & set(sys.modules)))"
  )
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  assert done.stdout.strip() == "8 []"


def test_items_that_are_parts_of_a_state_are_one_tree(tmp_path):
  import migrate

  params = {"w": np.arange(4, dtype=np.float32)}
  moments = optax.adam(1e-3).init(params)
  with ocp.CheckpointManager(tmp_path / "items") as manager:
    parts = {
      "params": ocp.args.StandardSave(params),
      "opt_state": ocp.args.StandardSave(moments),
      "batch_stats": ocp.args.StandardSave({"batch_stats": {"mean": np.ones(2)}}),
      "notes": ocp.args.JsonSave({"a": 1}),
    }
    manager.save(4, args=ocp.args.Composite(**parts))
  stored = open_tree(tmp_path / "items")
  assert (stored.format, stored.step) == ("composite", 4)
  assert ("batch_stats", "mean") in stored.leaves
  done = migrate.convert(tmp_path / "items", tmp_path / "nnx")
  assert done.step == 4
  assert migrate.verify_checkpoint(tmp_path / "nnx", tmp_path / "items").proven
  with ocp.StandardCheckpointer() as c:
    found = c.restore(tmp_path / "nnx")
  assert found["optimizer"]["opt_state"]["0"]["mu"]["w"]["value"].shape == (4,)
  migrate.convert(tmp_path / "nnx", tmp_path / "back", to="linen")
  assert ("opt_state", 0, "mu", "w") in open_tree(tmp_path / "back").leaves
  only = migrate.convert(tmp_path / "items", tmp_path / "params", item="params", dry_run=True)
  assert only.optimizer is None


def old_layout(folder, tree):
  """What Orbax wrote before `_METADATA`: a folder an array, and a msgpack file that names them."""
  import shutil

  from flax import serialization

  ocp.PyTreeCheckpointer(use_ocdbt=False).save(folder, tree)
  for name in ("_METADATA", "_sharding", "_CHECKPOINT_METADATA"):
    (folder / name).unlink(missing_ok=True)
  shutil.rmtree(folder / "array_metadatas", ignore_errors=True)

  def named(node, path):
    if isinstance(node, dict):
      return {k: named(v, (*path, k)) for k, v in node.items()}
    return f"PLACEHOLDER://{'.'.join(path)}" if isinstance(node, np.ndarray) else node

  (folder / "checkpoint").write_bytes(serialization.msgpack_serialize(named(tree, ())))


def test_from_before_metadata(tmp_path):
  kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
  for step in (9, 10):
    old_layout(tmp_path / f"checkpoint_{step}", {"step": step, "params": {"Dense_0": {"kernel": kernel}}})
  stored = open_checkpoint(tmp_path)
  assert stored.step == 10
  assert "before _METADATA" in stored.note
  np.testing.assert_array_equal(stored.leaves[("params", "Dense_0", "kernel")].read(), kernel)
  assert int(stored.leaves[("step",)].read()) == 10


@pytest.mark.parametrize("name", ["../x", "none"])
def test_arrays_that_are_not_beside_the_file(tmp_path, name):
  from flax import serialization

  data = serialization.msgpack_serialize({"params": {"w": f"PLACEHOLDER://{name}"}})
  (tmp_path / "checkpoint").write_bytes(data)
  with pytest.raises(MigrateError):
    open_checkpoint(tmp_path)
  with pytest.raises(MigrateError, match="its folder"):
    open_checkpoint(tmp_path / "checkpoint")


def test_written_tree_is_read_back(tmp_path):
  write_orbax(tmp_path / "x", {"a": [np.ones(2), None], "n": 3})
  stored = open_tree(tmp_path / "x")
  assert (set(stored.leaves), stored.empty, stored.numbers) == ({("a", 0), ("n",)}, (("a", 1),), {("n",)})


@pytest.mark.parametrize(
  "change",
  [
    lambda m: "",
    lambda m: "[" * 100_000,
    lambda m: json.dumps([]),
    lambda m: json.dumps({"tree_metadata": 3}),
    lambda m: json.dumps({"tree_metadata": {"x": {}}}),
    lambda m: json.dumps(m).replace('"a/b.c"', '"missing"'),
    lambda m: json.dumps(m).replace('"a/b.c"', '"../../etc"'),
    lambda m: json.dumps(m).replace('"key_type": 1', '"key_type": []'),
    lambda m: json.dumps(m).replace('"key": "0"', '"key": "x"'),
    lambda m: json.dumps(m).replace('"scalar"', '"string"'),
  ],
)
@pytest.mark.parametrize("how", ["standard", "zarr"])
def test_edited_metadata_is_an_error(saved, tmp_path, how, change):
  shutil.copytree(saved / how, tmp_path / "x")
  place = tmp_path / "x" / "_METADATA"
  place.write_text(change(json.loads(place.read_text())))
  with pytest.raises(MigrateError):
    open_tree(tmp_path / "x")


@pytest.mark.parametrize("how", ["standard", "zarr", "zarr3"])
@pytest.mark.parametrize("seed", range(25))
def test_damaged_data_is_an_error_or_right(saved, tmp_path, how, seed):
  rng = np.random.default_rng(seed)
  shutil.copytree(saved / how, tmp_path / "x")
  files = sorted(p for p in (tmp_path / "x").rglob("*") if p.is_file() and p.stat().st_size)
  for _ in range(3):
    one = files[int(rng.integers(len(files)))]
    data = one.read_bytes()
    one.write_bytes(mangled(data, rng) if data else b"x")
  try:
    for leaf in open_tree(tmp_path / "x").leaves.values():
      leaf.read()
  except MigrateError as error:
    one_screen(error)
