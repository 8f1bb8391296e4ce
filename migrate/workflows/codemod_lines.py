"""Where a finding about rewritten text is in the file as its owner knows it."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping

from migrate.core.report import Finding


def at_old_lines(findings: Iterable[Finding], before: Mapping[str, str], after: Mapping[str, str]) -> list[Finding]:
  """The findings with lines of the old files; a line that is new is where what stands before it was.

  Args:
    findings: with lines of the files in `after`.
    before: path -> the file as it was.
    after: path -> the file as the findings' author read it.
  """
  lines: dict[str, list[int]] = {}
  found = []
  for finding in findings:
    path, _, line = finding.where.rpartition(":")
    if line.isdecimal() and path in before and before[path] != after.get(path, before[path]):
      if path not in lines:
        lines[path] = old_lines(before[path], after[path])
      number = min(int(line), len(lines[path]))
      finding = dataclasses.replace(finding, where=f"{path}:{lines[path][number - 1]}" if number else finding.where)
    found.append(finding)
  return found


def old_lines(before: str, after: str) -> list[int]:
  """The old number of every new line, counted from 1."""
  old, new = before.splitlines(), after.splitlines()
  found = [1] * len(new)
  for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
    for at in range(k, m):
      found[at] = i + at - k + 1 if tag == "equal" else max(1, min(i + at - k + 1, j or 1))
  return found
