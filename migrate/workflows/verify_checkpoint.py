"""Proves a converted checkpoint: every leaf is read again and compared with what it was made from."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from migrate.checkpoint.detect import open_checkpoint
from migrate.core.paths import Path, key, show
from migrate.core.report import Finding, MigrateError, refuse
from migrate.core.training import is_nnx, split_linen
from migrate.core.translate import read
from migrate.core.tree import NOTHING
from migrate.workflows.convert_back import plan_back
from migrate.workflows.manifest import checksum, read_manifest


@dataclasses.dataclass(frozen=True)
class Verified:
  """What was compared.

  Attributes:
    compared: how many of the source's leaves were found in the checkpoint, bit for bit.
    against: `manifest`, or the source that was read again.
    dropped: leaves of the source that the conversion left out.
    unread: leaves that were only renamed, not read, and have no checksum; `against` compares them too.
    findings: what differs.
  """

  compared: int
  against: str
  dropped: tuple[str, ...]
  findings: tuple[Finding, ...]
  unread: tuple[str, ...] = ()

  @property
  def proven(self) -> bool:
    """Whether something was compared, all of it agrees, and nothing was left uncompared."""
    return self.compared > 0 and not self.findings and not self.unread

  def to_json(self) -> dict[str, Any]:
    """A plain dict."""
    found = [f.to_json() for f in self.findings]
    return {
      "proven": self.proven,
      "compared": self.compared,
      "against": self.against,
      "dropped": list(self.dropped),
      "findings": found,
      "unread": list(self.unread),
    }


def verify_checkpoint(path: str | os.PathLike[str], against: str | os.PathLike[str] | None = None) -> Verified:
  """Reads a converted checkpoint again, leads every leaf back, and compares with the source.

  Args:
    path: a checkpoint that `convert` wrote from a Linen training state.
    against: the source; None compares with the checksums of the manifest.

  Raises:
    MigrateError: where there is nothing to compare with, or something cannot be read.
  """
  stored = open_checkpoint(path)
  manifest = read_manifest(stored.place)
  if manifest is None or manifest.get("direction") != "linen->nnx":
    raise refuse(
      os.fspath(path), "has no manifest of a conversion", "what `linen2nnx convert` wrote", "convert it again"
    )
  if not is_nnx(stored.leaves):
    raise refuse(os.fspath(path), "has no model at its top", "what `linen2nnx convert` wrote", "convert it again")
  wanted = _sums(manifest) if against is None else _source_sums(against)
  work = plan_back(stored, None, None)
  findings: list[Finding] = []
  seen: set[str] = set()
  # what shares its bytes with the source was not read when it was made
  linked = set(map(str, manifest.get("unread", []))) - set(wanted) if against is None else set()
  places = {key(a): tuple(b) for a, b in work.layout.get("origin", [])}
  compared = 0
  try:
    for standard, value in work.standard({}):
      name = show(places.get(key(standard), standard))
      seen.add(name)
      if name in linked:
        continue
      if name not in wanted:
        findings.append(Finding(name, "is not in the source", "a leaf of the source", "convert it again"))
      elif checksum(value) != wanted[name]:
        findings.append(Finding(name, "differs from the source", "the same bits", "convert it again"))
      else:
        compared += 1
  except MigrateError as error:
    findings += error.findings
  dropped = [show(places.get(key(t.path), t.path)) for e in work.model.entries if e.fate == "fresh" for t in e.targets]
  for name in sorted(set(wanted) - seen - set(dropped)):
    if not any(name.startswith(("opt_state/", "step")) and d.partition("/")[2] in name for d in dropped):
      findings.append(Finding(name, "is not in the checkpoint", "every leaf of the source", "convert it again"))
  return Verified(
    compared,
    "manifest" if against is None else os.fspath(against),
    tuple(dropped),
    tuple(findings),
    tuple(sorted(linked)),
  )


def _sums(manifest: dict[str, Any]) -> dict[str, str]:
  sums = manifest.get("sha256")
  if not isinstance(sums, dict) or not (sums or manifest.get("unread")):
    raise refuse("manifest", "has no checksums", "a checksum of every leaf", "give the source with --against")
  return sums


def _source_sums(path: str | os.PathLike[str]) -> dict[str, str]:
  stored = open_checkpoint(path)
  state = split_linen(stored.leaves, stored.empty)
  leaves: dict[Path, Any] = dict(state.variables)
  leaves |= {("opt_state", *p): v for p, v in (state.opt_state or {}).items() if v is not NOTHING}
  if state.opt_state is not None and state.step is not None:
    leaves[("step",)] = state.step
  return {show(state.place(p)): checksum(read(v)) for p, v in leaves.items()}
