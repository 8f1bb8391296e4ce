"""Conversions by several processes: two with four devices each make what one makes, byte for byte when it is read."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.checkpoint.detect import open_checkpoint
from migrate.checkpoint.orbax import write_orbax
from migrate.core.declare import ModelMapping, move, tie
from migrate.core.ops import Stack, Transpose
from migrate.workflows.convert import convert
from migrate.workflows.manifest import read_manifest
from migrate.workflows.mapping import save_mapping
from migrate.workflows.verify_checkpoint import verify_checkpoint
from tests.workflows.processes import run_together

# Run by `python -c` with (rank, processes, port, folder)
PROGRAM = """
import sys
rank, processes, port, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
import jax
jax.distributed.initialize(f"127.0.0.1:{port}", processes, rank)
assert jax.device_count() == 8 and jax.local_device_count() == 4
import migrate
import migrate.checkpoint.array_writer as writer
import migrate.checkpoint.orbax as stored
from migrate.checkpoint.processes import Processes

written, read = [], []
add = writer.ArrayWriter.add
writer.ArrayWriter.add = lambda self, name, array: (written.append(array.nbytes), add(self, name, array))[1]
load = stored._Load.__call__
stored._Load.__call__ = lambda self: (read.append(self.name), load(self))[1]
mapping = folder + "/mapping.json"
migrate.convert(folder + "/linen", folder + "/linked", mapping)
assert sum(written) > 100_000, written  # each writes some of what an op changes
names = [name for said in Processes.here().gather({"read": read}) for name in said["read"]]
large = [name for name in names if name.endswith("kernel")]
assert len(read) < len(names) and large and len(large) == len(set(large)), names  # read once, by one of them
migrate.convert(folder + "/linen", folder + "/copied", mapping, copy=True)
migrate.convert(folder + "/zarr", folder + "/streamed", mapping)
migrate.convert(folder + "/linen", folder + "/summed", mapping, checksum=True)
migrate.convert(folder + "/linked", folder + "/relinked", to="linen")
migrate.convert(folder + "/linen", folder + "/linked", mapping, overwrite=True)
for target, options in (("linked", {}), ("x.npz", {})):
  try:
    migrate.convert(folder + "/linen", folder + "/" + target, mapping, **options)
  except migrate.MigrateError as error:
    assert "exists" in str(error) or "one file" in str(error), error
  else:
    raise AssertionError(target)
try:  # one alone fails: the others do not wait for ever, and nothing is there
  migrate.convert(folder + "/linen", folder + "/failed", mapping if rank else folder + "/none.json")
except migrate.MigrateError as error:
  assert ("process 0" in str(error)) == (rank == 1), error
print("done", flush=True)
"""


@pytest.mark.slow
def test_two_processes_make_what_one_makes(tmp_path):
  rng = np.random.default_rng(0)
  params = {f"layer_{i}": {"kernel": rng.standard_normal((100, 300)).astype(np.float32)} for i in range(6)}
  params |= {"head": {"kernel": rng.standard_normal((300, 200)).astype(np.float32), "bias": np.arange(3.0)}}
  params |= {"embed": {"table": rng.standard_normal((400, 100)).astype(np.float32)}}
  opt_state = [{"count": np.array(5, np.int32), "mu": params, "nu": params}, None]
  statistics = {"tied": params["embed"]["table"], "other": params["embed"]["table"]}
  write_orbax(tmp_path / "linen", {"params": params, "stats": statistics, "opt_state": opt_state, "step": 5})
  import orbax.checkpoint as ocp

  with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=False)) as checkpointer:
    checkpointer.save(tmp_path / "zarr", {"params": params, "stats": statistics, "opt_state": opt_state, "step": 5})
  rules = (
    move("params/layer_{i}/**", "layers/**", Stack()),
    move("params/head/kernel", "head/kernel", Transpose()),
    tie("stats/tied", "other"),
  )
  save_mapping(ModelMapping(rules), tmp_path / "mapping.json")
  convert(tmp_path / "linen", tmp_path / "alone", tmp_path / "mapping.json")
  run_together(PROGRAM, 2, tmp_path)
  wanted = open_checkpoint(tmp_path / "alone").leaves
  for name in ("linked", "copied", "streamed", "summed"):
    found = open_checkpoint(tmp_path / name).leaves
    assert set(found) == set(wanted)
    for path, leaf in wanted.items():
      one, other = found[path].read(), leaf.read()
      assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes()), path
    assert verify_checkpoint(tmp_path / name, tmp_path / "linen").proven
    with ocp.StandardCheckpointer() as checkpointer:
      restored = checkpointer.restore(tmp_path / name)
    np.testing.assert_array_equal(restored["model"]["head"]["kernel"]["value"], params["head"]["kernel"].T)
  assert verify_checkpoint(tmp_path / "summed").proven
  manifest = read_manifest(tmp_path / "linked")
  assert manifest is not None
  assert manifest["linked"] is True
  assert {"params/head/kernel", "opt_state/0/mu/head/kernel"} <= set(manifest["sha256"])
  back = open_checkpoint(tmp_path / "relinked").leaves
  np.testing.assert_array_equal(back[("params", "layer_5", "kernel")].read(), params["layer_5"]["kernel"])
  assert not (tmp_path / "failed").exists()
  assert not [p for p in tmp_path.iterdir() if "tmp" in p.name]
