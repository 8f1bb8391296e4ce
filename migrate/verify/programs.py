"""What XLA made of both models: flops and instructions of the optimized programs, side by side.

The programs are those that a verification compiles anyway, the call with its gradient, so counting costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from migrate.core.report import Finding
from migrate.verify.records import CallRecord

# they compute nothing: names, places and copies of what goes in and out
_IDLE = {"parameter", "tuple", "get-tuple-element", "copy", "bitcast", "constant", "fusion", "call"}
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.-]+ = (?:\([^=]*?\)|\S+) ([a-z][a-z0-9-]*)\(", re.MULTILINE)
MORE = 1.02  # a ratio of flops above which a report speaks of it


def cost(compiled: Any) -> tuple[float, int]:
  """Flops and instructions of a compiled program; flops are -1 where XLA does not tell."""
  try:
    told = compiled.cost_analysis()
    flops = float((told[0] if isinstance(told, list) else told or {}).get("flops", -1.0))
  except Exception:
    flops = -1.0
  return flops, instructions(compiled.as_text() or "")


def instructions(text: str) -> int:
  """How many instructions of an HLO text compute something."""
  return sum(name not in _IDLE for name in _INSTRUCTION.findall(text))


def compare_programs(linen: Sequence[CallRecord], nnx: Sequence[CallRecord]) -> tuple[dict[str, Any], ...]:
  """One row for each call whose programs can be compared: with random numbers they are not those of training.

  A verification hands Linen's random numbers to NNX, so a call that draws some runs another program there.
  """
  rows = []
  for i, (ours, theirs) in enumerate(zip(linen, nnx, strict=False)):
    if ours.program is None or theirs.program is None or ours.draws or ours.no_gradient != theirs.no_gradient:
      continue
    rows.append(
      {
        "call": i,
        "gradient": not ours.no_gradient,
        "flops": [ours.program[0], theirs.program[0]],
        "instructions": [ours.program[1], theirs.program[1]],
      }
    )
  return tuple(rows)


def findings_of(name: str, rows: Sequence[dict[str, Any]]) -> list[Finding]:
  """A note where the ported program computes more than Linen's."""
  found = []
  for row in rows:
    ours, theirs = row["flops"]
    if 0 < ours * MORE < theirs:
      said = f"the compiled call {row['call']} takes {theirs:g} flops, Linen's takes {ours:g}"
      do = "look for what is computed twice; templates that stand for missing layers may do more"
      found.append(Finding(name, said, "as many", do, "note"))
  return found
