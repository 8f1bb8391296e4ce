"""What XLA made of both models: flops and instructions of the optimized programs, side by side.

The programs are those that a verification compiles anyway, the call with its gradient, so counting costs nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from migrate.core.report import Finding
from migrate.verify.records import CallRecord

# they compute nothing: names, places and copies of what goes in and out
_IDLE = {"parameter", "tuple", "get-tuple-element", "copy", "bitcast", "constant", "fusion", "call"}
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.-]+ = (?:\([^=]*?\)|\S+) ([a-z][a-z0-9-]*)\(", re.MULTILINE)
MORE = 1.02  # a ratio of flops above which a report speaks of it


def cost(compiled: Any) -> tuple[float, Counter[str]]:
  """Flops of a compiled program, -1 where XLA does not tell, and how many instructions of each opcode it has."""
  try:
    told = compiled.cost_analysis()
    flops = float((told[0] if isinstance(told, list) else told or {}).get("flops", -1.0))
  except Exception:
    flops = -1.0
  return flops, instructions(compiled.as_text() or "")


def instructions(text: str) -> Counter[str]:
  """How many instructions of an HLO text compute something, by opcode."""
  return Counter(name for name in _INSTRUCTION.findall(text) if name not in _IDLE)


def compare_programs(linen: Sequence[CallRecord], nnx: Sequence[CallRecord]) -> tuple[dict[str, Any], ...]:
  """One row for each call whose programs can be compared: with random numbers they are not those of training.

  A verification hands Linen's random numbers to NNX, so a call that draws some runs another program there.
  """
  rows = []
  for i, (ours, theirs) in enumerate(zip(linen, nnx, strict=False)):
    if ours.program is None or theirs.program is None or ours.draws or ours.no_gradient != theirs.no_gradient:
      continue
    counts = [sum(p.values()) for p in (ours.program[1], theirs.program[1])]
    row = {
      "call": i,
      "gradient": not ours.no_gradient,
      "flops": [ours.program[0], theirs.program[0]],
      "instructions": counts,
    }
    if counts[1] > counts[0]:
      row["more"] = dict((theirs.program[1] - ours.program[1]).most_common())
    rows.append(row)
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
    before, after = row["instructions"]
    if before * MORE < after:
      more = ", ".join(f"{n} more {opcode}" for opcode, n in row["more"].items())
      said = f"the compiled call {row['call']} has {after} instructions, Linen's has {before}: {more}"
      found.append(Finding(name, said, "as many", "measure both where the time of a step matters", "note"))
  return found
