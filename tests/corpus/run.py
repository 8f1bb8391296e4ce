"""Ports every case of the corpus, a process each, and writes the scoreboard.

  python tests/corpus/run.py [-k PART]... [--package NAME]... [--jobs 2] [--timeout 300] [--resume]

Results go to `.work/corpus/`: `results.json`, and for each case its ported package, its report and its log.
`docs/scoreboard.md` is written when every case has a result; it names the commits that they come from.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / ".work" / "corpus"
sys.path.insert(0, str(HERE))

import cases  # noqa: E402
import scoreboard  # noqa: E402

# library or case -> packages whose modules it uses as its own, beside its own package
INCLUDE: dict[str, tuple[str, ...]] = {
  "gemma": ("kauldron",),
  "dalle-mini": ("transformers",),
  "flaxdiff_crossattn_down3d": ("diffusers",),
}


def environment(package: str) -> dict[str, str]:
  """What a case runs under: the CPU, cheap compilation kept between runs, the library's shims, and no network."""
  cache = Path(tempfile.gettempdir()) / "linen2nnx_corpus_cache"
  defaults = {
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    "JAX_COMPILATION_CACHE_DIR": str(cache),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_OFFLINE": "1",
    "PYTHONWARNINGS": "ignore",
    "COLUMNS": "120",
  }
  path = [str(HERE / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
  return {**defaults, **os.environ, "PYTHONPATH": os.pathsep.join(path), "LINEN2NNX_CORPUS_PACKAGE": package}


def is_installed(case: cases.Case) -> bool:
  """Whether the library of the case is in this environment."""
  try:
    importlib.metadata.version(case.requirement.split("==")[0])
  except importlib.metadata.PackageNotFoundError:
    return False
  return True


def run_case(case: cases.Case, timeout: float) -> dict[str, Any]:
  """Ports one case in its own process and sums up what came of it."""
  result: dict[str, Any] = {"id": case.id, "package": case.package, "path": case.path, "findings": [], "hoisted": []}
  if not is_installed(case):
    return {**result, "verdict": "not installed", "code": None, "seconds": 0.0}
  folder = WORK / case.id
  folder.mkdir(parents=True, exist_ok=True)
  report = folder / "report.json"
  report.unlink(missing_ok=True)
  command = [sys.executable, "-m", "migrate.cli", "port", f"{HERE / 'examples.py'}:{case.id}"]
  command += ["--out", str(folder / "out"), "--overwrite", "--json", str(report)]
  others = (*INCLUDE.get(case.package, ()), *INCLUDE.get(case.id, ()))
  for package in (case.path.split(".")[0], *others) if others else ():
    command += ["--include", package]
  started = time.monotonic()
  code = run_limited(command, folder / "log.txt", timeout, environment(case.package))
  result |= {"code": code, "seconds": round(time.monotonic() - started, 1)}
  if code is None:
    return {**result, "verdict": "timeout"}
  if not report.is_file():
    return {**result, "verdict": "crashed"}
  return {**result, **summary(json.loads(report.read_text(encoding="utf-8")), code)}


def run_limited(command: list[str], log: Path, timeout: float, env: dict[str, str]) -> int | None:
  """Runs the command with its output in the log; stops it with its children, None, when it takes too long."""
  with log.open("w", encoding="utf-8") as out:
    child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=env, cwd=ROOT, start_new_session=True)
    try:
      return child.wait(timeout)
    except subprocess.TimeoutExpired:
      os.killpg(child.pid, signal.SIGKILL)
      child.wait()
      return None


def summary(report: dict[str, Any], code: int) -> dict[str, Any]:
  """Verdict, hoisted arguments and findings of a report; proven only with exit code 0."""
  examples = report.get("examples") or []
  verdict = examples[0].get("verdict", "error") if examples else "refused"
  if verdict in scoreboard.PROVEN and code != 0:
    verdict = f"{verdict}, but not proven"
  return {
    "verdict": verdict,
    "hoisted": (report.get("source") or {}).get("hoisted") or [],
    "findings": report.get("findings") or [],
    "forward": examples[0].get("forward") if examples else None,
    "gradients": examples[0].get("gradients") if examples else None,
  }


def commit() -> str:
  """The commit that the results belong to, with a plus where the code was changed since; empty without git."""
  git = lambda *words: subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()
  changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/scoreboard.md")  # written by this
  return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def chosen(parts: list[str], packages: list[str]) -> list[cases.Case]:
  """The cases whose id holds one of the parts and whose library is named; all where nothing is given."""
  return [
    c for c in cases.CASES if (not parts or any(p in c.id for p in parts)) and (not packages or c.package in packages)
  ]


def main() -> int:
  """Runs what was chosen; exit code 0 where every case could be run, whatever its verdict."""
  parser = argparse.ArgumentParser(description="Ports the corpus and writes docs/scoreboard.md.")
  parser.add_argument("-k", action="append", default=[], metavar="PART", help="only cases whose id holds this")
  parser.add_argument("--package", action="append", default=[], help="only cases of this library")
  parser.add_argument("--jobs", type=int, default=2)
  parser.add_argument("--timeout", type=float, default=300.0, help="seconds a case may take")
  parser.add_argument("--resume", action="store_true", help="leave out cases that have a result")
  options = parser.parse_args()
  todo = chosen(options.k, options.package)
  WORK.mkdir(parents=True, exist_ok=True)
  kept = WORK / "results.json"
  known = {r["id"]: r for r in json.loads(kept.read_text(encoding="utf-8"))} if kept.is_file() else {}
  at = commit()
  left = [case for case in todo if not (options.resume and case.id in known)]
  with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
    for i, result in enumerate(pool.map(lambda case: run_case(case, options.timeout), left), 1):
      known[result["id"]] = {**result, "commit": at}
      kept.write_text(json.dumps(list(known.values()), indent=1), encoding="utf-8")
      first = scoreboard.short(result["findings"][0]) if result["findings"] else ""
      place = f"{i:3d}/{len(left)} {result['id']:40s} {result['verdict']:14s} {result['seconds']:6.1f} s"
      print(f"{place}  {first}", flush=True)
  results = [known[case.id] for case in todo]
  if all(case.id in known for case in cases.CASES):
    page = scoreboard.page([known[case.id] for case in cases.CASES])
    (ROOT / "docs" / "scoreboard.md").write_text(page, encoding="utf-8")
  print(scoreboard.totals(results))
  return 0 if all(r["verdict"] != "not installed" for r in results) else 1


if __name__ == "__main__":
  sys.exit(main())
