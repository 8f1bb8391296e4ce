"""Runs commands side by side, in turns, and prints medians and ratios. Imports nothing heavy: its own memory counts."""

from __future__ import annotations

import dataclasses
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("BENCH_DATA", HERE.parent / ".work" / "bench"))
MEGABYTES = int(os.environ.get("BENCH_MEGABYTES", "2000"))
PAIRS = int(os.environ.get("BENCH_PAIRS", "3"))
COMMAND = [sys.executable, "-m", "migrate.cli"]


@dataclasses.dataclass(frozen=True)
class Run:
  """One run of a command: wall clock and processor time in seconds, peak memory in megabytes."""

  seconds: float
  cpu: float
  memory: float


def run(command: Sequence[str]) -> Run:
  """Runs a command to its end. Exits where it fails."""
  env = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(HERE.parent)}
  started = time.perf_counter()
  process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
  assert process.stdout is not None
  said = process.stdout.read()
  _, status, usage = os.wait4(process.pid, 0)
  seconds = time.perf_counter() - started
  process.returncode = os.waitstatus_to_exitcode(status)
  if process.returncode:
    sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{said.decode()[-2000:]}")
  return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def script(name: str, *arguments: object) -> list[str]:
  """A Python file of this folder as a command."""
  return [sys.executable, str(HERE / name), *map(str, arguments)]


def in_turns(commands: Mapping[str, Sequence[str]], pairs: int, before: Callable[[], None]) -> dict[str, Run]:
  """The median of each command over `pairs` rounds, one after the other in each round; `before` clears the way."""
  runs: dict[str, list[Run]] = {name: [] for name in commands}
  for _ in range(pairs):
    for name, command in commands.items():
      before()
      os.sync()
      runs[name].append(run(command))
  before()
  return {
    name: Run(*(statistics.median(getattr(one, field.name) for one in some) for field in dataclasses.fields(Run)))
    for name, some in runs.items()
  }


def checkpoint(megabytes: int) -> Path:
  """The Linen checkpoint of about that size, made where it is not there yet."""
  place = DATA / f"linen_{megabytes}"
  if not place.exists():
    DATA.mkdir(parents=True, exist_ok=True)
    run(script("make_checkpoint.py", place, megabytes))
  return place


def clear(*places: Path) -> None:
  """Removes what an earlier run wrote."""
  for place in places:
    shutil.rmtree(place, ignore_errors=True)


def show(title: str, runs: Mapping[str, Run]) -> None:
  """One line a command."""
  print(f"\n{title}")
  for name, one in runs.items():
    print(f"  {name:<28} {one.seconds:8.2f} s   cpu {one.cpu:7.2f} s   peak {one.memory:8.0f} MB")


def ratio(what: str, found: float, most: float) -> None:
  """One line: a ratio beside what it must be at most."""
  print(f"  {what:<58} {found:8.3f}   at most {most:<8g} {'yes' if found <= most else 'NO'}", flush=True)


def busy() -> None:
  """Says how many processors there are and how busy the machine is."""
  print(f"{os.cpu_count()} processors, load {', '.join(f'{n:.2f}' for n in os.getloadavg())}", flush=True)
