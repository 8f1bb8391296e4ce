"""Ported models against their Linen originals: step time, compile time, eager call time, flops and instructions.

BENCH_CASES names other cases of the corpus (with .venv-corpus, made by `make corpus`), separated by commas.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import DATA, HERE, PAIRS, busy

ROOT = HERE.parent
CORPUS = ROOT / ".venv-corpus" / "bin" / "python"
MEASURES = ("compile", "step", "split", "eager")
CASES = os.environ.get("BENCH_CASES", "hf_bert_mlm,hf_gpt2_lm,dopamine_rainbow,kauldron_flat_autoencoder").split(",")
OWN = ("sizes", "flags", "partials", "recurrent", "scanned")


def run(python: str | Path, *arguments: object) -> str:
  """What a command writes. Exits where it fails."""
  own = {"JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join((str(ROOT), str(DATA / "gallery")))}
  ran = subprocess.run([str(python), *map(str, arguments)], env=os.environ | own, capture_output=True, text=True)
  if ran.returncode:
    sys.exit(f"{' '.join(map(str, arguments))} ended with {ran.returncode}:\n{ran.stdout[-500:]}{ran.stderr[-2000:]}")
  return ran.stdout


def measure(name: str, python: str | Path, spec: str) -> dict[str, float]:
  """Ports one model, runs both in turns, and returns ratios, ported over Linen."""
  out = DATA / "programs" / name
  run(python, "-m", "migrate.cli", "port", spec, "--out", out, "--overwrite", "--quiet")
  report = json.loads((out / "report.json").read_text())["examples"][0]
  sides: dict[str, list[dict[str, Any]]] = {"linen": [], "nnx": []}
  for _ in range(PAIRS):
    sides["linen"].append(json.loads(run(python, HERE / "measure_model.py", "linen", spec).splitlines()[-1]))
    sides["nnx"].append(json.loads(run(python, HERE / "measure_model.py", "nnx", spec, out).splitlines()[-1]))
  middle = lambda side, what: statistics.median(one.get(what, one["step"]) for one in sides[side])
  found = {what: middle("nnx", what) / middle("linen", what) for what in MEASURES}
  found["nnx.jit ms"] = 1000 * (middle("nnx", "step") - middle("nnx", "split"))
  for row in report.get("programs", [])[:1]:
    found |= {what: row[what][1] / row[what][0] for what in ("flops", "instructions") if row[what][0] > 0}
  return found


def main(names: list[str]) -> None:
  """Prints one line a model."""
  busy()
  shutil.rmtree(DATA / "gallery", ignore_errors=True)
  shutil.copytree(ROOT / "docs" / "gallery" / "linen", DATA / "gallery")
  shutil.copy(ROOT / "docs" / "gallery" / "shown.py", DATA / "gallery")
  cases = [(name, sys.executable, f"{DATA / 'gallery' / 'shown.py'}:show_{name}") for name in OWN]
  cases += [(c, CORPUS, f"{ROOT / 'tests' / 'corpus' / 'examples.py'}:{c}") for c in CASES if c and CORPUS.exists()]
  columns = (*MEASURES, "nnx.jit ms", "flops", "instructions")
  print(f"{'ported over Linen':<28}" + "".join(f"{c:>14}" for c in columns))
  for name, python, spec in cases:
    if names and name not in names:
      continue
    found = measure(name, python, spec)
    print(f"{name:<28}" + "".join(f"{found[c]:14.2f}" if c in found else f"{'-':>14}" for c in columns), flush=True)


if __name__ == "__main__":
  main(sys.argv[1:])
