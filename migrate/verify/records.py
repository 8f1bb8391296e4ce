"""What one side of a comparison did: every call with its outputs, state and gradients. Saved between processes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

from migrate.core.report import Finding, MigrateError, refuse
from migrate.verify import store
from migrate.verify.arrays import Flat
from migrate.verify.draws import Draw

SEED = 20  # of every random number in a verification


@dataclasses.dataclass
class CallRecord:
  """One call on one side.

  Attributes:
    outputs: arrays of the result by path.
    plain: Python values of the result by path.
    opaque: how many leaves of the result are neither.
    after: every variable after the call, Linen paths.
    grads: gradients with respect to `params`, Linen paths.
    noise: `outputs`, `after`, `grads` -> the measured noise of each array, Linen side only.
    draws: random numbers that Linen drew.
    no_gradient: why there are no gradients; empty where there are.
    notes: what to tell the user of this call.
    program: flops of the compiled call with its gradient, and how many instructions of each opcode it has.
  """

  outputs: dict[str, Any]
  plain: dict[str, Any]
  opaque: int
  after: Flat
  grads: Flat
  noise: dict[str, dict[Any, float]] = dataclasses.field(default_factory=dict)
  draws: tuple[Draw, ...] = ()
  no_gradient: str = ""
  notes: tuple[str, ...] = ()
  program: tuple[float, Counter[str]] | None = None


@dataclasses.dataclass
class CallPlan:
  """How to make one call on either side: the example's, with shapes filled in."""

  args: tuple[Any, ...]
  kwargs: dict[str, Any]
  rngs: tuple[str, ...]
  mutable: Any
  method: str | None


@dataclasses.dataclass
class LinenRecord:
  """All that the NNX side and the comparison need to know of the Linen side."""

  variables: Flat
  streams: tuple[str, ...]
  plans: list[CallPlan]
  calls: list[CallRecord]
  findings: tuple[Finding, ...] = ()


def _save_calls(folder: Path, side: str, calls: list[CallRecord]) -> list[dict[str, Any]]:
  rows = []
  for i, call in enumerate(calls):
    for part in ("outputs", "after", "grads"):
      store.save_arrays(folder / f"{side}{i}.{part}.npz", getattr(call, part))
    listed = lambda key: list(key) if isinstance(key, tuple) else key
    noise = {part: [[listed(k), v] for k, v in names.items()] for part, names in call.noise.items()}
    rows.append(
      {
        "plain": {k: [type(v).__name__, str(v)] if isinstance(v, complex) else v for k, v in call.plain.items()},
        "opaque": call.opaque,
        "noise": noise,
        "draws": [dataclasses.astuple(d) for d in call.draws],
        "no_gradient": call.no_gradient,
        "notes": list(call.notes),
        "program": call.program,
      }
    )
  return rows


def _load_calls(folder: Path, side: str, rows: list[dict[str, Any]]) -> list[CallRecord]:
  calls = []
  for i, row in enumerate(rows):
    arrays = [store.load_arrays(folder / f"{side}{i}.{p}.npz") for p in ("outputs", "after", "grads")]
    noise = {p: {tuple(k) if isinstance(k, list) else k: v for k, v in rows} for p, rows in row["noise"].items()}
    draws = tuple(Draw.from_json(d) for d in row["draws"])
    outputs, after, grads = arrays
    why, notes = row["no_gradient"], tuple(row["notes"])
    program = (row["program"][0], Counter(row["program"][1])) if row["program"] else None
    calls.append(CallRecord(outputs, row["plain"], row["opaque"], after, grads, noise, draws, why, notes, program))
  return calls


def save_linen(folder: Path, record: LinenRecord) -> None:
  """Writes the Linen side. Raises MigrateError where a call argument can't be pickled."""
  store.save_arrays(folder / "variables.npz", record.variables)
  for i, plan in enumerate(record.plans):
    try:
      store.save_tree(folder / f"plan{i}.pickle", (plan.args, plan.kwargs))
    except Exception as error:
      raise refuse(
        f"call {i}", f"an argument can't be carried to another process ({type(error).__name__}: {error})",
        "arguments that pickle", "define classes and functions given as arguments at the top level of a module",
      ) from error  # fmt: skip
  rows = _save_calls(folder, "linen", record.calls)
  plans = [{"rngs": p.rngs, "mutable": p.mutable, "method": p.method} for p in record.plans]
  findings = [f.to_json() for f in record.findings]
  value = {"streams": record.streams, "plans": plans, "calls": rows, "findings": findings}
  store.save_json(folder / "linen.json", value)


def load_linen(folder: Path, *, arguments: bool) -> LinenRecord:
  """Reads the Linen side; `arguments` only where the calls are made again, for they are unpickled."""
  value = store.load_json(folder / "linen.json")
  plans = []
  for i, row in enumerate(value["plans"]):
    args, kwargs = store.load_tree(folder / f"plan{i}.pickle") if arguments else ((), {})
    plans.append(CallPlan(args, kwargs, tuple(row["rngs"]), row["mutable"], row["method"]))
  calls = _load_calls(folder, "linen", value["calls"])
  findings = tuple(Finding(**f) for f in value["findings"])
  variables = store.load_arrays(folder / "variables.npz")
  return LinenRecord(variables, tuple(value["streams"]), plans, calls, findings)


@dataclasses.dataclass
class NnxRecord:
  """All that the comparison needs to know of the NNX side."""

  calls: list[CallRecord]
  leaves: int = 0
  unmapped: tuple[str, ...] = ()
  unfilled: tuple[str, ...] = ()
  findings: tuple[Finding, ...] = ()


def save_nnx(folder: Path, record: NnxRecord) -> None:
  """Writes the NNX side."""
  value = {
    "calls": _save_calls(folder, "nnx", record.calls),
    "leaves": record.leaves,
    "unmapped": record.unmapped,
    "unfilled": record.unfilled,
    "findings": [f.to_json() for f in record.findings],
  }
  store.save_json(folder / "nnx.json", value)


def load_nnx(folder: Path) -> NnxRecord:
  """Reads the NNX side."""
  value = store.load_json(folder / "nnx.json")
  calls = _load_calls(folder, "nnx", value["calls"])
  findings = tuple(Finding(**f) for f in value["findings"])
  return NnxRecord(calls, value["leaves"], tuple(value["unmapped"]), tuple(value["unfilled"]), findings)


def save_failure(folder: Path, error: MigrateError) -> None:
  """Leaves the findings of a process that could not do its part."""
  store.save_json(folder / "failure.json", [f.to_json() for f in error.findings])


def load_failure(folder: Path) -> tuple[Finding, ...]:
  """The findings that a failed process left, if any."""
  path = folder / "failure.json"
  return tuple(Finding(**f) for f in store.load_json(path)) if path.exists() else ()
