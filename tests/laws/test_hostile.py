"""Generated hostile and damaged checkpoints: a clear error or a right result, `tests/laws/hostile.py` says how."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS, CASES = (12, 2400) if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else (4, 240)


@pytest.mark.parametrize("part", range(PARTS))
def test_fuzz_of_commands(part):
  each = CASES // PARTS
  command = [sys.executable, "-W", "ignore", "-m", "tests.laws.hostile", str(part * each), str(each)]
  env = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
  done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
  lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
  assert [line for line in lines if "wrong" in line] == []
  last = max((line["case"] for line in lines), default=None)
  assert done.returncode == 0, f"case {last} ended the process with {done.returncode}: {done.stderr[-2000:]}"
  assert last == part * each + each - 1
