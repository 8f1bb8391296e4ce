"""A place without room, or that may not be written to: said so, nothing is left, the source is as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from migrate.checkpoint.orbax import write_orbax
from migrate.core.declare import ModelMapping, move
from migrate.core.ops import Transpose
from migrate.workflows.convert import convert
from migrate.workflows.mapping import save_mapping
from tests.workflows.test_killed import sums

pytestmark = pytest.mark.filterwarnings("ignore")

# files may grow to this size: what a full disk is to a process that writes more
CODE = """
import resource, sys
from migrate.cli import main
import tensorstore
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  folder = tmp_path_factory.mktemp("full")
  rng = np.random.default_rng(0)
  params = {f"l_{i}": {"k": rng.standard_normal((300, 500)).astype(np.float32)} for i in range(8)}
  write_orbax(folder / "linen", {"params": params})
  save_mapping(ModelMapping(()), folder / "same.json")
  save_mapping(ModelMapping((move("params/{l}/k", "{l}/k", Transpose((1, 0))),)), folder / "turned.json")
  return folder


def run(limit, *arguments):
  command = [sys.executable, "-W", "ignore", "-c", CODE, str(limit), *map(str, arguments)]
  return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()})


@pytest.mark.parametrize(
  ("mapping", "name", "options"),
  [
    ("same", "dst", ["--copy"]),
    ("turned", "dst", []),
    ("turned", "dst", ["--copy"]),
    ("same", "dst.npz", []),
    ("same", "dst.safetensors", []),
    ("same", "dst.msgpack", []),
  ],
)
@pytest.mark.parametrize("limit", [1000, 100_000])
def test_full_disk(source, tmp_path, mapping, name, options, limit):
  before = sums(source)
  done = run(
    limit, "convert", source / "linen", tmp_path / "deep" / name, "--mapping", source / f"{mapping}.json", *options
  )
  said = done.stdout + done.stderr
  assert done.returncode == 1, said
  assert "cannot be written" in said
  assert "Traceback" not in said
  assert "fault of linen2nnx" not in said
  assert list((tmp_path / "deep").iterdir()) == []
  assert sums(source) == before
  convert(source / "linen", tmp_path / "deep" / name, source / f"{mapping}.json")


def test_place_that_may_not_be_written_to(source, tmp_path):
  closed = tmp_path / "closed"
  closed.mkdir()
  closed.chmod(0o555)
  # who may write anywhere is kept out by a folder that nobody can write to
  place = closed if not os.access(closed, os.W_OK) else Path("/proc/self/task")
  done = run(1 << 30, "convert", source / "linen", place / "dst", "--mapping", source / "same.json")
  said = done.stdout + done.stderr
  assert done.returncode in (1, 2), said
  assert "cannot be written" in " ".join(said.split())
  assert "Traceback" not in said
