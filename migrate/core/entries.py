"""Plan: every source leaf and every target leaf with its one fate. A value, JSON both ways, with an inverse."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Literal

from migrate.core.ops import Op, OpError, invert_ops, op_from_json, op_to_json
from migrate.core.paths import Path, show
from migrate.core.report import Finding, MigrateError, refuse
from migrate.core.tree import NOTHING, Leaf, Spec

Fate = Literal["same", "move", "drop", "fresh", "tie", "copy"]

_INVERSE: dict[Fate, Fate] = {"drop": "fresh", "fresh": "drop", "tie": "copy", "copy": "tie"}

FORMAT, VERSION = "linen2nnx.plan", 1


@dataclasses.dataclass(frozen=True)
class Entry:
  """One fate: the leaves of `sources` become the leaves of `targets`.

  Attributes:
    fate: `same` (no rule named it), `move`, `drop` (sources only), `fresh` (targets only), `tie` (a source that must
      equal what another entry puts at the target), `copy` (targets of a source that another entry moves as well).
    sources: leaves that are read, in order.
    targets: leaves that are written, in order.
    ops: bound operations from the sources to the targets.
    because: the reason of a `drop` or `fresh`.
    variable: the NNX Variable type that the rule asks for, empty for the collection's own.
    rule: the rule in words, empty where none named the leaf.
  """

  fate: Fate
  sources: tuple[Leaf, ...]
  targets: tuple[Leaf, ...]
  ops: tuple[Op, ...] = ()
  because: str = ""
  variable: str = ""
  rule: str = ""

  def inverse(self) -> Entry:
    """The way back. Raises OpError where an operation has none."""
    fate = _INVERSE.get(self.fate, self.fate)
    return dataclasses.replace(self, fate=fate, sources=self.targets, targets=self.sources, ops=invert_ops(self.ops))


@dataclasses.dataclass(frozen=True)
class Plan:
  """What becomes of every leaf.

  Attributes:
    entries: one fate each, in the order of the source and then of the target.
    direction: `linen->nnx` or `nnx->linen`.
    unmapped: source leaves without a fate (only of plans made with `strict=False`).
    unfilled: target leaves without a fate (likewise).
    findings: what is wrong (likewise).
    idle: rules that had nothing to do because their collection is absent.
  """

  entries: tuple[Entry, ...]
  direction: str = "linen->nnx"
  unmapped: tuple[Path, ...] = ()
  unfilled: tuple[Path, ...] = ()
  findings: tuple[Finding, ...] = ()
  idle: tuple[str, ...] = ()

  @property
  def complete(self) -> bool:
    """Whether nothing is missing or wrong."""
    return not (self.unmapped or self.unfilled or self.findings)

  def inverse(self) -> Plan:
    """The plan of the way back. Raises MigrateError where an operation has none."""
    entries, findings = [], []
    for entry in self.entries:
      try:
        entries.append(entry.inverse())
      except OpError as error:
        findings.append(
          Finding(
            ", ".join(show(t.path) for t in entry.targets),
            str(error),
            "operations with an inverse",
            "give the operation its other side",
          )
        )
    if findings:
      raise MigrateError(*findings)
    direction = "->".join(reversed(self.direction.split("->")))
    return Plan(tuple(entries), direction, self.unfilled, self.unmapped, self.findings, self.idle)

  def to_json(self) -> dict[str, Any]:
    """A plain dict; see `Plan.from_json`."""
    return {
      "format": FORMAT,
      "version": VERSION,
      "direction": self.direction,
      "entries": [_entry_to_json(e) for e in self.entries],
      "unmapped": [list(p) for p in self.unmapped],
      "unfilled": [list(p) for p in self.unfilled],
      "findings": [f.to_json() for f in self.findings],
      "idle": list(self.idle),
    }

  @classmethod
  def from_json(cls, data: Any) -> Plan:
    """The inverse of `to_json`, of a dict or of text. Raises MigrateError for what is no plan."""
    try:
      data = json.loads(data) if isinstance(data, str | bytes) else data
      if data.get("format") != FORMAT or data.get("version") != VERSION:
        raise refuse(
          "plan",
          f"format {data.get('format')!r}, version {data.get('version')!r}",
          f"{FORMAT}, version {VERSION}",
          "make the plan again",
        )
      return cls(
        tuple(_entry_from_json(e) for e in data["entries"]),
        str(data["direction"]),
        tuple(tuple(p) for p in data["unmapped"]),
        tuple(tuple(p) for p in data["unfilled"]),
        tuple(Finding(**f) for f in data["findings"]),
        tuple(data["idle"]),
      )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
      raise refuse(
        "plan", f"{type(error).__name__}: {error}", "a plan as Plan.to_json writes it", "make the plan again"
      ) from error

  def rows(self) -> list[tuple[str, str, str, str, str]]:
    """The table: (fate, source, target, shape, operations or reason) of every entry."""
    out = []
    for e in self.entries:
      steps = ", ".join(map(str, e.ops)) or e.because
      specs = " + ".join(str(leaf.spec) for leaf in e.sources or e.targets)
      if e.ops:
        specs += " -> " + " + ".join(str(leaf.spec) for leaf in e.targets)
      out.append(
        (e.fate, " + ".join(show(s.path) for s in e.sources), " + ".join(show(t.path) for t in e.targets), specs, steps)
      )
    out += [("unmapped", show(p), "", "", "") for p in self.unmapped]
    out += [("unfilled", "", show(p), "", "") for p in self.unfilled]
    return out


def _leaf_to_json(leaf: Leaf) -> dict[str, Any]:
  return {"path": list(leaf.path), "shape": list(leaf.spec.shape), "dtype": leaf.spec.dtype}


def _leaf_from_json(data: dict[str, Any]) -> Leaf:
  path, shape, dtype = data["path"], data["shape"], data["dtype"]
  if (
    not all(isinstance(s, str) or type(s) is int for s in path)
    or not all(type(n) is int and n >= 0 for n in shape)
    or not isinstance(dtype, str)
  ):
    raise ValueError(f"{data!r:.200} is not a leaf")
  return Leaf(tuple(path), Spec(tuple(shape), dtype))


def _entry_to_json(entry: Entry) -> dict[str, Any]:
  out: dict[str, Any] = {"fate": entry.fate}
  if entry.sources:
    out["sources"] = [_leaf_to_json(s) for s in entry.sources]
  if entry.targets:
    out["targets"] = [_leaf_to_json(t) for t in entry.targets]
  if entry.ops:
    out["ops"] = [op_to_json(op) for op in entry.ops]
  return out | {name: text for name in ("because", "variable", "rule") if (text := getattr(entry, name))}


def _entry_from_json(data: dict[str, Any]) -> Entry:
  if data["fate"] not in ("same", "move", "drop", "fresh", "tie", "copy"):
    raise ValueError(f"fate {data['fate']!r}")
  entry = Entry(
    data["fate"],
    tuple(map(_leaf_from_json, data.get("sources", ()))),
    tuple(map(_leaf_from_json, data.get("targets", ()))),
    tuple(map(op_from_json, data.get("ops", ()))),
    str(data.get("because", "")),
    str(data.get("variable", "")),
    str(data.get("rule", "")),
  )
  _check_sides(entry)
  return entry


def _check_sides(entry: Entry) -> None:
  """Raises ValueError where an entry has not what its fate and its operations need."""
  sides = {"drop": (True, False), "fresh": (False, True)}.get(entry.fate, (True, True))
  if (bool(entry.sources), bool(entry.targets)) != sides:
    raise ValueError(f"{entry.fate} with {len(entry.sources)} sources and {len(entry.targets)} targets")
  if entry.fate in ("drop", "fresh") or all(leaf.spec == NOTHING for leaf in entry.sources):
    return
  made = [leaf.spec.shape for leaf in entry.sources]
  for op in entry.ops:
    made = op.shape(made)
  if len(made) != len(entry.targets) or (entry.fate != "tie" and made != [t.spec.shape for t in entry.targets]):
    found = ", ".join(show(leaf.path) for leaf in entry.sources)
    raise ValueError(f"{found}: shapes {made} do not fit the targets")


SHOWN = 3


def plan_error(findings: list[Finding]) -> MigrateError:
  """One error that fits a screen, a few findings of each kind; its `findings` are all of them."""
  shown: list[Finding] = []
  for kind in dict.fromkeys(f.rule for f in findings):
    same = [f for f in findings if f.rule == kind]
    shown += same[:SHOWN]
    if len(same) > SHOWN:
      shown.append(Finding("...", f"and {len(same) - SHOWN} more like these"))
  error = MigrateError(*shown)
  error.findings = tuple(findings)
  return error
