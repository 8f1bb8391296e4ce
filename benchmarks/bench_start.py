"""How soon the command answers, against importing jax. `python benchmarks/bench_start.py`."""

from __future__ import annotations

import sys

import common

LEAVES = 1000


def main() -> None:
  """Prints medians and ratios."""
  common.busy()
  place = common.DATA / f"leaves_{LEAVES}"
  if not place.exists():
    common.run(common.script("make_leaves.py", place, LEAVES))
  commands = {
    "import jax": [sys.executable, "-c", "import jax"],
    "linen2nnx --help": [*common.COMMAND, "--help"],
    f"linen2nnx inspect, {LEAVES} leaves": [*common.COMMAND, "inspect", str(place)],
  }
  runs = common.in_turns(commands, 2 * common.PAIRS + 1, lambda: None)
  common.show("start", runs)
  base, helped, inspected = (runs[name].seconds for name in commands)
  common.ratio("--help against import jax", helped / base, 0.4)
  common.ratio(f"inspect of {LEAVES} leaves against import jax", inspected / base, 1.6)


if __name__ == "__main__":
  main()
