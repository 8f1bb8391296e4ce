"""make demo: two models of a published library go from Linen to NNX in the middle of their training.

Every step is a process of its own, as it would be for you:
  1. train in Linen with AdamW and dropout, save an Orbax checkpoint;
  2. `linen2nnx port`: rewrite the source, move the checkpoint with its optimizer state, prove both;
  3. go on training, in Linen from its checkpoint and in NNX from the moved one, on the same batches.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / ".work" / "demo"
NAMES = {"resnet": "a residual network with BatchNorm", "transformer": "a transformer with dropout"}
console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)


def start(*command: str | Path) -> subprocess.Popen[bytes]:
  """Starts Python with these arguments; what it prints is shown."""
  environment = {"JAX_PLATFORMS": "cpu", "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore", **os.environ}
  environment["PYTHONPATH"] = str(HERE)
  return subprocess.Popen([sys.executable, *map(str, command)], env=environment, cwd=ROOT)


def must(*commands: tuple[str | Path, ...]) -> None:
  """Runs them side by side, and stops the demo where one fails."""
  running = [(command, start(*command)) for command in commands]
  for command, process in running:
    if process.wait():
      sys.exit(f"{' '.join(map(str, command))} exited {process.returncode}")


def losses(folder: Path, name: str) -> list[float]:
  """What a training process wrote."""
  return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def demonstrate(name: str) -> bool:
  """All three steps for one model. Returns whether the port was proven."""
  import task

  folder = WORK / name
  folder.mkdir(parents=True)
  console.rule(f"{name}: {NAMES[name]}")
  console.print(f"Linen: {task.BEFORE} steps of AdamW, then an Orbax checkpoint")
  must((HERE / "linen_training.py", name, "begin", folder / "linen", folder / "before.json"))
  before = losses(folder, "before")
  console.print(f"loss {before[0]:.4f} -> {before[-1]:.4f}\n")

  spec = f"{(HERE / 'models.py').relative_to(ROOT)}:{name}"
  shown = f"linen2nnx port {spec} --out {folder.relative_to(ROOT)}/ported"
  console.print(f"$ {shown} --checkpoint ... --checkpoint-out ...", markup=False)
  moved = ("--checkpoint", folder / "linen", "--checkpoint-out", folder / "nnx")
  if start("-m", "migrate.cli", "port", spec, "--out", folder / "ported", *moved).wait():
    console.print("[red]the port was not proven: see above[/red]")
    return False

  for mode in ("no-dropout", "dropout") if name == "transformer" else ("no-dropout",):
    linen = (HERE / "linen_training.py", name, "continue", folder / "linen", folder / f"linen_{mode}.json", mode)
    nnx = (HERE / "nnx_training.py", name, folder / "ported", folder / "nnx", folder / f"nnx_{mode}.json", mode)
    must(linen, nnx)
  return show(name, folder)


def show(name: str, folder: Path) -> bool:
  """The losses side by side. Returns whether the two programs went on alike."""
  import task

  table = Table(title=f"{name}: training goes on, the same batches in both")
  table.add_column("step", justify="right")
  for column in ("Linen", "NNX", "difference"):
    table.add_column(column, justify="right")
  linen, nnx = losses(folder, "linen_no-dropout"), losses(folder, "nnx_no-dropout")
  columns = [linen, nnx]
  if name != "resnet":
    for column in ("Linen, dropout", "NNX, dropout"):
      table.add_column(column, justify="right", style="dim")
    columns += [losses(folder, "linen_dropout"), losses(folder, "nnx_dropout")]
  for i, values in enumerate(zip(*columns, strict=True)):
    first = [f"{v:.6f}" for v in values]
    table.add_row(str(task.BEFORE + i + 1), *first[:2], f"{abs(values[0] - values[1]):.1e}", *first[2:])
  console.print(table)
  if name != "resnet":
    console.print("dropout off: the same numbers. Dropout on: Linen and NNX draw different masks, by their design.")
  worst = max(abs(a - b) for a, b in zip(linen, nnx, strict=True))
  alike = worst <= 1e-3 * max(linen)
  console.print(f"largest difference {worst:.1e}" + ("" if alike else "  [red]: too much[/red]") + "\n")
  return alike


def main() -> int:
  """Runs both; exit code 0 only where both ports were proven and training went on alike."""
  sys.path.insert(0, str(HERE))
  names = sys.argv[1:] or list(NAMES)
  shutil.rmtree(WORK, ignore_errors=True)
  started = time.monotonic()
  good = [demonstrate(name) for name in names]
  took = time.monotonic() - started
  console.print(
    f"{sum(good)} of {len(good)} proven in {took:.0f} s. The ported source is in {WORK.relative_to(ROOT)}/*/ported."
  )
  return 0 if all(good) else 1


if __name__ == "__main__":
  sys.exit(main())
