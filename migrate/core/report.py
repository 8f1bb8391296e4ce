"""The one shape of every message: where, found, wanted, do."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

Severity = Literal["error", "eye", "note"]


@dataclasses.dataclass(frozen=True)
class Finding:
  """Something a user must know.

  Attributes:
    where: a path, a `file:line`, an example's name.
    found: what is there.
    wanted: what the tool needed instead.
    do: what the user can do about it.
    severity: `error` (the result is not proven), `eye` (needs your eye), `note`.
    rule: a stable id, such as `L2N101`; empty where no rule page exists.
  """

  where: str
  found: str
  wanted: str = ""
  do: str = ""
  severity: Severity = "error"
  rule: str = ""

  def __str__(self) -> str:
    lines = [f"{self.where}: {self.found}"]
    if self.wanted:
      lines.append(f"  wanted: {self.wanted}")
    if self.do:
      lines.append(f"  do: {self.do}")
    return "\n".join(lines)

  def to_json(self) -> dict[str, Any]:
    """A plain dict with all six fields, for reports."""
    return dataclasses.asdict(self)


class MigrateError(Exception):
  """Raised for anything the user can mend; carries one `Finding` or several."""

  def __init__(self, *findings: Finding):
    super().__init__("\n".join(map(str, findings)))
    self.findings = findings


def refuse(where: str, found: str, wanted: str = "", do: str = "") -> MigrateError:
  """Builds the error of one finding: `raise refuse(where, found, wanted, do)`."""
  return MigrateError(Finding(where, found, wanted, do))
