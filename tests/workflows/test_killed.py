"""A conversion that is killed: the source is unchanged, nothing looks complete, a rerun succeeds."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from migrate.checkpoint.orbax import write_orbax
from migrate.core.declare import ModelMapping, move
from migrate.core.ops import Transpose
from migrate.workflows.convert import convert
from migrate.workflows.mapping import save_mapping
from migrate.workflows.verify_checkpoint import verify_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore")

MOMENTS = 17 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else 3

CODE = """
import sys, migrate, migrate.workflows.convert as c
import tensorstore, orbax.checkpoint
print("ready", flush=True)
sys.stdin.readline()
c.convert(sys.argv[1], sys.argv[2], sys.argv[3], copy=sys.argv[4] == "copy", overwrite=True)
print("done", flush=True)
"""


def sums(folder):
  return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["link", "copy", "turned"])
def test_fuzz_of_killed_conversions(tmp_path, how):
  rng = np.random.default_rng(0)
  params = {f"l_{i}": {"k": rng.standard_normal((200, 500)).astype(np.float32)} for i in range(40)}
  write_orbax(tmp_path / "linen", {"params": params, "opt_state": [{"mu": params, "count": np.array(3, np.int32)}]})
  rules = (move("params/{l}/k", "{l}/k", Transpose((1, 0))),) if how == "turned" else ()
  save_mapping(ModelMapping(rules), tmp_path / "mapping.json")
  before = sums(tmp_path / "linen")
  started = time.perf_counter()
  convert(tmp_path / "linen", tmp_path / "probe", tmp_path / "mapping.json", copy=how == "copy")
  whole = time.perf_counter() - started
  dst = tmp_path / "out" / "nnx"
  for wait in np.random.default_rng().uniform(0, 1.3 * whole, MOMENTS):
    command = [sys.executable, "-c", CODE, str(tmp_path / "linen"), str(dst), str(tmp_path / "mapping.json"), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
      assert process.stdin is not None
      assert process.stdout is not None
      assert process.stdout.readline().strip() == "ready"
      process.stdin.write("\n")
      process.stdin.flush()
      time.sleep(float(wait))
      process.send_signal(signal.SIGKILL)
      process.stdout.read()
    assert sums(tmp_path / "linen") == before
    if dst.exists():
      found = verify_checkpoint(dst, tmp_path / "linen")
      assert found.proven, found.findings
  convert(tmp_path / "linen", dst, tmp_path / "mapping.json", copy=how == "copy", overwrite=True)
  assert verify_checkpoint(dst, tmp_path / "linen").proven
  assert [p.name for p in dst.parent.iterdir()] == ["nnx"]
