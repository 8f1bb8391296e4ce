"""Planning many leaves with many rules, against Orbax's own transformations. `python benchmarks/bench_plan.py`.

Both get the same trees of shapes and the same renaming: `params/block_7_layer_3/kernel` becomes
`blocks/7/layer_3/kernel`, one rule for each block. Orbax tries rule after rule for each leaf of the target, and Python's cache of compiled regular
expressions holds fewer than 1,000 of them: minutes for 10,000 leaves. It is therefore given a tenth of the target's
leaves, all of the rules and all of the source, and its time is multiplied by ten, unless BENCH_WHOLE=1.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import common
import jax
from orbax.checkpoint import transform_utils

from migrate.core.declare import ModelMapping, move
from migrate.core.plan import make_plan

PARTS = ("kernel", "bias")


def trees(leaves: int, rules: int) -> tuple[dict[str, Any], dict[str, Any]]:
  """The Linen tree and the NNX tree of that many leaves, in that many blocks."""
  spec = jax.ShapeDtypeStruct((3, 4), "float32")
  layers = leaves // rules // len(PARTS)
  layer = dict.fromkeys(PARTS, spec)
  source = {f"block_{b}_layer_{i}": dict(layer) for b in range(rules) for i in range(layers)}
  target = {str(b): {f"layer_{i}": dict(layer) for i in range(layers)} for b in range(rules)}
  return {"params": source}, {"blocks": target}


def ours(leaves: int, rules: int) -> Callable[[], Any]:
  """Makes the plan."""
  source, target = trees(leaves, rules)
  mapping = ModelMapping(
    tuple(move(f"params/block_{b}_layer_{{i}}/**", f"blocks/{b}/layer_{{i}}/**") for b in range(rules))
  )
  return lambda: make_plan(source, target, mapping)


def orbax(leaves: int, rules: int, share: int) -> Callable[[], Any]:
  """The same by regular expressions, for one in `share` of the target's leaves."""
  source, target = trees(leaves, rules)
  target = {"blocks": dict(list(target["blocks"].items())[::share])}
  changes = {
    rf"blocks/{b}/layer_(\d+)/(\w+)": transform_utils.Transform(original_key=rf"params/block_{b}_layer_\1/\2")
    for b in range(rules)
  }
  return lambda: transform_utils.apply_transformations(source, changes, target)


def seconds(work: Callable[[], Any], times: int) -> float:
  """The median processor time over some runs: all of this is one thread's work, and other processes do not count."""
  found = []
  for _ in range(times):
    started = time.process_time()
    work()
    found.append(time.process_time() - started)
  return statistics.median(found)


def main() -> None:
  """Prints medians and ratios."""
  common.busy()
  planned = seconds(ours(10_000, 1000), common.PAIRS)
  share = 1 if os.environ.get("BENCH_WHOLE") else 10
  transformed = share * seconds(orbax(10_000, 1000, share), 1)
  large = seconds(ours(100_000, 1000), common.PAIRS)
  print(f"\nplan of 10,000 leaves, 1,000 rules  {planned:8.3f} s")
  part = "" if share == 1 else f" ({share} times that of 1/{share} of them)"
  print(f"Orbax apply_transformations         {transformed:8.3f} s{part}")
  print(f"plan of 100,000 leaves, 1,000 rules {large:8.3f} s")
  common.ratio("plan against apply_transformations", planned / transformed, 0.01)
  common.ratio("plan of 100,000 leaves against 10,000", large / planned, 12)
  common.busy()


if __name__ == "__main__":
  main()
