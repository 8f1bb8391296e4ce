"""The flagship programs: ported whole by one command, they go on from their Linen checkpoints to the same losses."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLAGSHIP = ROOT / "examples" / "flagship"


def run(*argv: str | Path, cwd: Path) -> None:
  """Runs Python there, on the CPU."""
  environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
  ran = subprocess.run([sys.executable, *map(str, argv)], cwd=cwd, env=environment, capture_output=True, text=True)
  assert ran.returncode == 0, f"{argv}\n{ran.stdout}\n{ran.stderr}"


def losses(file: Path) -> list[dict[str, float]]:
  """What a program wrote."""
  return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
  ("name", "saved", "options"),
  [
    ("image_classifier", "checkpoint_4", ()),
    ("language_model", "4/default", ("0.0",)),  # without dropout: NNX draws other masks from the same key
  ],
)
def test_flagship_goes_on_to_the_same_losses(name, saved, options, tmp_path):
  shutil.copytree(FLAGSHIP, tmp_path / "linen")
  shutil.copytree(FLAGSHIP, tmp_path / "nnx")
  linen, nnx = tmp_path / "linen" / name, tmp_path / "nnx" / name
  run("train.py", tmp_path / "w", "4", tmp_path / "first", *options, cwd=linen)
  run(
    *("-m", "migrate.cli", "codemod", name, "--example", f"shown.py:{name}", "--write"),
    *("--checkpoint", tmp_path / "w" / saved, "--checkpoint-out", tmp_path / "w2" / saved),
    cwd=tmp_path / "nnx",
  )
  assert not [f for f in nnx.rglob("*.py") if "flax.linen" in f.read_text() or "TrainState" in f.read_text()]
  run("train.py", tmp_path / "w", "7", tmp_path / "linen.losses", *options, cwd=linen)
  run("train.py", tmp_path / "w2", "7", tmp_path / "nnx.losses", *options, cwd=nnx)
  wanted, found = losses(tmp_path / "linen.losses"), losses(tmp_path / "nnx.losses")
  assert len(found) == len(wanted) == 4, "three steps and the evaluation"
  assert [f.keys() for f in found] == [w.keys() for w in wanted]
  for one, other in zip(found, wanted, strict=True):
    assert one == pytest.approx(other, rel=1e-5)
  assert losses(tmp_path / "first")[0]["loss"] != wanted[0]["loss"]
