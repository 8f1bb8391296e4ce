"""Names from before Linen, told from Linen's and given Linen's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import serialization

from migrate.checkpoint.detect import open_checkpoint
from migrate.checkpoint.prelinen import linen_names, split_name, surely_old
from migrate.workflows.convert import convert
from migrate.workflows.verify_checkpoint import verify_checkpoint


def paths(*texts):
  return [tuple(t.split("/")) for t in texts]


OLD = paths(
  "embed/embedding",
  "Block_0/LayerNorm_0/scale",
  "Block_0/Attention_1/query/kernel",
  "Block_0/LayerNorm_2/scale",
  "Block_0/Mlp_4/Dense_0/kernel",
  "Block_0/Mlp_4/Dense_1/kernel",
  "Block_10/LayerNorm_0/scale",
  "Block_9/LayerNorm_0/scale",
  "LayerNorm_11/scale",
)
NEW = paths(
  "embed/embedding",
  "Block_0/LayerNorm_0/scale",
  "Block_0/Attention_0/query/kernel",
  "Block_0/LayerNorm_1/scale",
  "Block_0/Mlp_0/Dense_0/kernel",
  "Block_0/Mlp_0/Dense_1/kernel",
  "Block_2/LayerNorm_0/scale",
  "Block_1/LayerNorm_0/scale",
  "LayerNorm_0/scale",
)


def test_each_class_is_counted_by_itself_in_numeric_order():
  rename = linen_names(OLD)
  assert rename is not None
  assert [rename(p) for p in OLD] == NEW


@pytest.mark.parametrize(
  "found",
  [
    NEW,
    paths("Conv_0/kernel", "Dense_0/kernel", "Dense_2/kernel"),
    paths("Dense_0/kernel", "Dense_1/kernel"),
    paths("conv_1/kernel", "head/kernel"),
    paths("params/kernel_3"),
  ],
)
def test_linens_names_stay(found):
  assert linen_names(found) is None


def test_bare_parameters_are_renamed_where_it_is_sure(tmp_path):
  assert surely_old(OLD)
  assert not surely_old(NEW)
  for found in (["LayerNorm_1/scale"], ["Dense_0/kernel", "Block_1/x/y"], ["A_1/k", "B_2/k", "C_3/k"]):
    assert not surely_old(paths(*found))
  old = {"/".join(p): np.full(2, float(i)) for i, p in enumerate(OLD)}
  np.savez(tmp_path / "old.npz", **old)
  stored = open_checkpoint(tmp_path / "old.npz")
  assert "names from before Linen" in stored.note
  for i, path in enumerate(NEW):
    assert stored.leaves[path].read()[0] == i
  (tmp_path / "x").write_bytes(serialization.msgpack_serialize({"params": {"/".join(p): 1 for p in NEW}}))
  assert open_checkpoint(tmp_path / "x").note == ""
  done = convert(tmp_path / "old.npz", tmp_path / "nnx")
  assert any("parameters alone" in note for note in done.notes)
  convert(tmp_path / "nnx", tmp_path / "back.npz", to="linen")
  assert ("Block_0", "LayerNorm_1", "scale") in open_checkpoint(tmp_path / "back.npz").leaves
  assert verify_checkpoint(tmp_path / "nnx", tmp_path / "old.npz").proven


def test_keys_of_the_old_collection_are_paths():
  assert split_name(("/Conv_0/BatchNorm_1", "mean")) == ("Conv_0", "BatchNorm_1", "mean")
  assert split_name(("/", "mean")) == ("mean",)


class Linen(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.BatchNorm(use_running_average=True)(nn.Conv(3, (2,))(x))
    x = nn.BatchNorm(use_running_average=True)(nn.Conv(4, (2,))(x))
    return nn.Dense(2)(x)


def test_a_checkpoint_of_flax_nn_is_a_linen_training_state(tmp_path):
  x = jnp.ones((1, 5, 2))
  variables = jax.tree.map(np.asarray, Linen().init(jax.random.key(0), x))
  old = {"Conv_0": "Conv_0", "BatchNorm_0": "BatchNorm_1", "Conv_1": "Conv_2", "BatchNorm_1": "BatchNorm_3"}
  old["Dense_0"] = "Dense_5"  # a Dropout took 4
  target = {old[k]: v for k, v in variables["params"].items()}
  states = jax.tree.map(lambda v: {"grad_ema": v, "grad_sq_ema": v * v}, target)
  tree = {
    "optimizer": {"target": target, "state": {"step": np.int32(5), "param_states": states}},
    "model_state": {f"/{old[k]}": v for k, v in variables["batch_stats"].items()},
  }
  (tmp_path / "x").write_bytes(serialization.msgpack_serialize(tree))
  stored = open_checkpoint(tmp_path / "x")
  assert "names from before Linen" in stored.note
  for collection, wanted in variables.items():
    for module, leaves in wanted.items():
      for name, value in leaves.items():
        np.testing.assert_array_equal(stored.leaves[(collection, module, name)].read(), value)
        if collection == "params":
          np.testing.assert_array_equal(stored.leaves[("opt_state", 0, "mu", module, name)].read(), value)
  assert len([p for p in stored.leaves if p[0] in variables]) == len(jax.tree.leaves(variables))
