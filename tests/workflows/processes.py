"""Runs a program in several processes of `jax.distributed`, on eight devices together."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_together(program: str, processes: int, folder: Path) -> None:
  """`python -c program RANK PROCESSES PORT FOLDER` in each of them; all must print `done` at last."""
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
  env = {
    **os.environ,
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": f"--xla_force_host_platform_device_count={8 // processes}",
    "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
  }
  started = []
  try:
    for rank in range(processes):
      command = [sys.executable, "-c", program, str(rank), str(processes), str(port), str(folder)]
      with open(folder / f"{rank}.log", "wb") as log:
        started.append(subprocess.Popen(command, stdout=log, stderr=log, env=env))
    for process in started:
      process.wait(timeout=240)
  finally:
    for process in started:
      process.kill()
      process.wait()
  for rank in range(processes):
    log = (folder / f"{rank}.log").read_text()
    assert log.rstrip().endswith("done"), log[-3000:]
